//! Processes of two builds on one Redis: what the one writes, the other reads, and acts on.

use std::sync::Arc;

use crate::desk::Mood;
use crate::language::{Answer, Ask, Build, Settings, Shared, Trouble};
use crate::my_turn;
use crate::process::{Fleet, Worker};
use crate::provider::Provider;
use crate::redis_server::RedisServer;

/// One writes, and then the other reads.
struct Pair {
    writer: Arc<Worker>,
    reader: Arc<Worker>,
    provider: Arc<Provider>,
    /// What is done in this direction is told by it from what is done in the other one.
    number: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_of_record_that_one_build_writes_holds_for_the_other() {
    let _turn = my_turn().await;
    let redis = RedisServer::start().await;
    let provider = Arc::new(Provider::start(0).await);
    let settings = Settings::new(Shared::One(redis.url()), provider.address());
    let fleet = Fleet::start([Build::Earlier, Build::Today].map(|build| settings.clone().of_deploy(build)).into());
    for (number, writer) in [(1, 0), (2, 1)] {
        let (writer, reader) = (fleet.at(writer), fleet.at(1 - writer));
        let pair = Pair { writer, reader, provider: Arc::clone(&provider), number };
        pair.facts_and_keys().await;
        pair.redemptions().await;
        pair.operations().await;
        pair.what_became_indeterminate().await;
        pair.requests_and_events().await;
    }
}

impl Pair {
    fn name(&self, what: &str) -> String {
        format!("{what}_{}", self.number)
    }

    /// Odd ones are protected by no key of the provider.
    fn operation(&self, last: u32) -> u32 {
        self.number * 100 + last
    }

    async fn facts_and_keys(&self) {
        let (payment, key) = (self.name("pi"), Some(self.name("attempt-key")));
        let ask = Ask::Validate { payment: payment.clone(), key: key.clone() };
        assert_eq!(self.writer.expect(ask.clone()).await, valid("fresh"));
        assert_eq!(self.reader.expect(ask.clone()).await, valid("replayed"));
        assert_eq!(self.provider.lookers(&payment), [self.writer.name()]);
        let other = Ask::Validate { payment: self.name("pi_other"), key };
        assert_eq!(code(self.reader.expect(other).await), "key_reused");
        assert_eq!(self.writer.expect(Ask::Forget { payment: payment.clone() }).await, Answer::Fine);
        assert_eq!(self.reader.expect(ask).await, valid("fresh"), "it was forgotten");
    }

    async fn redemptions(&self) {
        let (payment, order) = (self.name("pi_redeemed"), self.name("order"));
        let redeem = |payment: &str, order: &str| Ask::Redeem { payment: payment.into(), order: order.into() };
        let first = self.writer.expect(redeem(&payment, &order)).await;
        let Answer::Redeemed { receipt, first: true } = first else { panic!("{first:?}") };
        let again = Answer::Redeemed { receipt: receipt.clone(), first: false };
        assert_eq!(self.reader.expect(redeem(&payment, &order)).await, again);
        assert_eq!(code(self.reader.expect(redeem(&payment, "another")).await), "already_redeemed");
        assert_eq!(code(self.reader.expect(redeem("pi_another", &order)).await), "order_already_paid");
        let stands = Answer::Redemption(Some(receipt.clone()));
        assert_eq!(self.reader.expect(Ask::Redemption { payment: payment.clone() }).await, stands);
        assert_eq!(self.reader.expect(Ask::Release { receipt }).await, Answer::Fine);
        assert_eq!(self.writer.expect(Ask::Redemption { payment }).await, Answer::Redemption(None));
    }

    /// One under a provider's key, and one without.
    async fn operations(&self) {
        self.provider.desk().mood = Mood::Calm;
        for operation in [self.operation(0), self.operation(1)] {
            let run = |run| Ask::Run { run, operation, reconcile: false };
            let Answer::Done { value, .. } = self.writer.expect(run(1)).await else { panic!() };
            let Answer::Done { value: again, provenance, .. } = self.reader.expect(run(2)).await else { panic!() };
            assert_eq!((again, &*provenance), (value, "replayed"));
        }
    }

    /// It is not sent again, stands on the list, and what is found out about it is told everywhere.
    async fn what_became_indeterminate(&self) {
        self.provider.desk().mood = Mood::Failing;
        let operation = self.operation(5);
        let run = Ask::Run { run: 3, operation, reconcile: false };
        for worker in [&self.writer, &self.reader] {
            assert_eq!(code(worker.expect(run.clone()).await), "indeterminate");
        }
        assert_eq!(self.provider.desk().accounts[&operation].sends.len(), 1);
        let reference = self.reader.expect(Ask::Reference { operation }).await;
        assert_eq!(self.reader.expect(Ask::Indeterminate).await, reference);
        let executed = Some("re_found".into());
        assert_eq!(self.reader.expect(Ask::Resolve { operation, executed }).await, Answer::Fine);
        let Answer::Done { value, .. } = self.writer.expect(run).await else { panic!() };
        assert_eq!(value, "re_found");
        assert_eq!(self.writer.expect(Ask::Indeterminate).await, Answer::References(Vec::new()));
    }

    async fn requests_and_events(&self) {
        let key = self.name("request-key");
        let handled = Answer::Said(format!("handled by worker {}", self.writer.name()));
        let event = self.name("evt");
        for (worker, delivered) in [(&self.writer, "handled"), (&self.reader, "duplicate")] {
            assert_eq!(worker.expect(Ask::Post { key: key.clone() }).await, handled);
            let delivered = Answer::Said(delivered.into());
            assert_eq!(worker.expect(Ask::Deliver { event: event.clone() }).await, delivered);
        }
    }
}

fn valid(provenance: &str) -> Answer {
    Answer::Valid { provenance: provenance.into(), degraded: false }
}

/// The code of what has to be an error.
fn code(answer: Answer) -> String {
    match answer {
        Answer::Error(Trouble { code, .. }) => code,
        other => panic!("{other:?} is no error"),
    }
}
