//! Operations without an effect: replayed for a while, and never kept as an error.

use payproof::guard::EffectCall;
use payproof::provider::ProviderError;
use payproof::store::MemoryStore;
use tokio::time::{advance, sleep};

use crate::support::{busy, ms, secs};
use crate::{Act, Desk, all_equal, guard_on, read};

#[tokio::test(start_paused = true)]
async fn a_read_is_replayed_for_its_retention() {
    let guard = guard_on(&MemoryStore::new()).read_retention(secs(60));
    let desk = Desk::default();
    for _ in 0..3 {
        assert_eq!(*guard.run(&read(), desk.keyless()).await.unwrap().value(), 1);
    }
    advance(secs(61)).await;
    assert_eq!(*guard.run(&read(), desk.keyless()).await.unwrap().value(), 2);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_read_fail_with_it_and_the_next_one_asks() {
    for failure in [busy(), ProviderError::refused("no such charge").with_status(404)] {
        let guard = guard_on(&MemoryStore::new());
        let script = vec![Act::Fail(failure.clone()); 4];
        let desk = Desk::with(script);
        let slow = {
            let desk = desk.clone();
            move |_call: EffectCall| {
                let desk = desk.clone();
                async move {
                    sleep(ms(300)).await;
                    desk.request(None).await
                }
            }
        };
        let runs: Vec<_> = (0..10).map(|_| tokio::spawn(guard.run(&read(), slow.clone()))).collect();
        let mut codes = Vec::new();
        for run in runs {
            codes.push(run.await.unwrap().unwrap_err().code());
        }
        all_equal(&codes);
        let sent = desk.requests();
        assert!(sent <= 4, "{sent}");
        desk.0.lock().unwrap().script.clear();
        assert!(guard.run(&read(), slow).await.is_ok(), "an error is never kept");
    }
}
