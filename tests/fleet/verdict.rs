//! What has to hold once a storm is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::desk::{Account, Mood};
use crate::language::{Answer, Ask, is_keyed, is_reconciled};
use crate::traffic::{Book, End, Traffic};

/// Failed operations whose whole story is told.
const MOST_TOLD: usize = 4;

/// What the store promises for operations that no provider key protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// They are sent once at most.
    Once,
    /// A failover may lose the claim, so that one is sent again. It is counted.
    OnceUnlessAClaimIsLost,
}

/// Brings every operation to its end, and checks everything.
///
/// # Panics
/// With the seed and the story of some operations, when something does not hold.
pub(crate) async fn judge(traffic: &Arc<Traffic>, promise: Promise, faults: &BTreeMap<&str, u32>) {
    let calm_since = Instant::now();
    traffic.provider.desk().mood = Mood::Calm;
    let open = traffic.settle().await;
    let settled_in = calm_since.elapsed();
    let sent_twice = check(traffic, promise, Rounds::First);
    check_list(traffic, &open).await;

    traffic.resolve(&open).await;
    idle(traffic).await;
    let left = traffic.settle().await;
    for operation in left {
        traffic.book().breaches.push((operation, "is open after it was resolved".into()));
    }
    check(traffic, promise, Rounds::All);
    empty_list(traffic).await;

    let line = line(traffic, faults, &open, sent_twice, settled_in);
    println!("{line}");
    let book = traffic.book();
    assert!(book.breaches.is_empty(), "{}", story(traffic, &book, &line));
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounds {
    /// No caller was told that it was not executed.
    First,
    All,
}

/// Looks at what reached the provider, and what the callers were told about it.
fn check(traffic: &Traffic, promise: Promise, rounds: Rounds) -> usize {
    let (mut sent_twice, mut breaches) = (0, Vec::new());
    let (desk, mut book) = (traffic.provider.desk(), traffic.book());
    for (&operation, account) in &desk.accounts {
        let mut breach = |what: String| breaches.push((operation, what));
        let is_protected = is_keyed(operation);
        let may_break = !is_protected && promise == Promise::OnceUnlessAClaimIsLost;
        let rounds = if is_reconciled(operation) { Rounds::All } else { rounds };
        if !is_protected && is_sent_twice(account, rounds) {
            sent_twice += 1;
            if !may_break {
                breach(format!("was sent {} times without a provider key", account.sends.len()));
            }
        }
        if account.effects.len() > 1 && !may_break {
            breach(format!("had {} effects", account.effects.len()));
        }
        let ends: Vec<&End> = book.ends.get(&operation).into_iter().flatten().collect();
        if ends.len() > 1 && !may_break {
            breach(format!("ended in {} ways: {ends:?}", ends.len()));
        }
        for end in ends {
            match end {
                End::Done(value) if !account.effects.contains(value) => breach(format!("{value} is not what was done")),
                End::Declined if !account.is_declined => breach("was not declined".into()),
                End::Declined if !account.effects.is_empty() => breach("was declined and done".into()),
                _ => {}
            }
        }
    }
    for (run, operation, code) in &book.harmless {
        if desk.executed_by.contains(run) {
            breaches.push((*operation, format!("was executed by run {run}, which said {code}")));
        }
    }
    book.breaches.extend(breaches);
    sent_twice
}

/// After the first round a person or the hook may have said that it was not executed, and then it is sent under another key.
fn is_sent_twice(account: &Account, rounds: Rounds) -> bool {
    let keys: BTreeSet<&str> = account.sends.iter().map(|(key, _)| key.as_str()).collect();
    match rounds {
        Rounds::First => account.sends.len() > 1,
        Rounds::All => keys.len() < account.sends.len(),
    }
}

/// Everything that an operator has to look into is on the list. Where the owner's late word ended an operation
/// meanwhile, it is off the list and has an end.
async fn check_list(traffic: &Traffic, open: &[u32]) {
    let listed = traffic.indeterminate().await;
    for &operation in open {
        let is_listed = listed.contains(&traffic.reference(operation).await);
        if !is_listed && traffic.end(operation, is_reconciled(operation)).await.is_none() {
            traffic.book().breaches.push((operation, "is indeterminate and not on the list".into()));
        }
    }
}

/// Nothing is left to be looked into. What was settled by its owner meanwhile goes off the list by being looked at.
async fn empty_list(traffic: &Traffic) {
    for reference in traffic.indeterminate().await {
        let ask = Ask::ResolveReference { reference, executed: None };
        match traffic.fleet.at(0).expect(ask).await {
            Answer::Error(trouble) if trouble.code == "nothing_to_resolve" => {}
            other => traffic.book().breaches.push((0, format!("something stayed on the list: {other:?}"))),
        }
    }
    assert_eq!(traffic.indeterminate().await, BTreeSet::new(), "seed {}: the list is not empty", traffic.seed);
}

/// Waits until the provider is through with everything it let in.
async fn idle(traffic: &Traffic) {
    while traffic.provider.desk().accounts.values().any(|account| account.executing > 0) {
        sleep(Duration::from_millis(20)).await;
    }
}

fn line(
    traffic: &Traffic,
    faults: &BTreeMap<&str, u32>,
    open: &[u32],
    sent_twice: usize,
    settled_in: Duration,
) -> String {
    let (desk, book) = (traffic.provider.desk(), traffic.book());
    let count = |of: fn(&Account) -> usize| desk.accounts.values().map(of).sum::<usize>();
    let faults: Vec<String> = faults.iter().map(|(fault, times)| format!("{times} {fault}")).collect();
    let mut line = format!("fleet: seed {}, {} operations run {} times", traffic.seed, traffic.operations, book.runs);
    let _ = write!(line, " by {} processes; faults: {}", traffic.fleet.len(), faults.join(", "));
    let _ = write!(line, "; {} sends, {} repeats", count(|account| account.sends.len()), desk.repeats);
    let _ = write!(line, ", {} effects, {} turned away", count(|account| account.effects.len()), desk.turned_away);
    let _ = write!(line, ", {} indeterminate, {} taken over", open.len(), desk.taken_over);
    let _ = write!(line, ", {sent_twice} sent twice; {} runs lost with their worker", book.lost);
    let _ = write!(line, "; errors: {:?}; longest answer {:.1} s", book.errors, book.longest.as_secs_f64());
    let _ = write!(line, ", settled in {:.1} s", settled_in.as_secs_f64());
    let _ = write!(line, ", all in {:.1} s", traffic.begin.elapsed().as_secs_f64());
    line
}

/// What is known of the operations that went wrong.
fn story(traffic: &Traffic, book: &Book, line: &str) -> String {
    let mut story =
        format!("{} breaches; PAYPROOF_FLEET_SEED={} repeats the choices\n", book.breaches.len(), traffic.seed);
    let _ = writeln!(story, "{line}");
    let mut told = BTreeSet::new();
    for (operation, what) in &book.breaches {
        let _ = writeln!(story, "operation {operation}: {what}");
        if told.len() >= MOST_TOLD || !told.insert(operation) {
            continue;
        }
        let desk = traffic.provider.desk();
        let at_provider = desk.accounts.get(operation).map_or(&[][..], |account| &account.log);
        let at_callers = book.log.get(operation).map_or(&[][..], |log| log);
        for (who, log) in [("provider", at_provider), ("caller", at_callers)] {
            for note in log {
                let _ = writeln!(story, "    {who} at {note}");
            }
        }
    }
    story
}
