//! What `verify` finds of endpoints that are idempotent, and of those that are not.

use crate::endpoint::{Endpoint, Fault, TOKEN};
use crate::program::{Program, Run};

async fn verify(endpoint: &Endpoint, options: &[&str]) -> Run {
    let (url, probe) = (format!("{}/orders", endpoint.url), format!("{}/count", endpoint.url));
    let arguments = [&["verify", &*url, "--probe", &*probe], options].concat();
    Program::new(&arguments).env("TOKEN", format!("Bearer {TOKEN}")).run().await
}

/// The lines with a finding of this kind.
fn found<'r>(run: &'r Run, mark: &str) -> Vec<&'r str> {
    run.stdout.lines().filter(|line| line.starts_with(mark)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotent_endpoint_passes_every_check() {
    let endpoint = Endpoint::start(Fault::None).await;
    let run = verify(&endpoint, &["--header-env", "Authorization=TOKEN", "--duplicates", "20"]).await;
    assert_eq!((run.code(), &*run.stderr), (0, ""), "{run:?}");
    assert_eq!(found(&run, "ok  ").len(), 7, "{}", run.stdout);
    assert!(run.stdout.ends_with("\nidempotent\n"), "{}", run.stdout);
    assert_eq!((endpoint.effects().await, endpoint.requests().await), (3, 25), "bounded traffic, few effects");
    assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains(TOKEN), "{}", run.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_layer_of_this_crate_passes_every_check() {
    let endpoint = Endpoint::behind_the_layer().await;
    let run = verify(&endpoint, &["--header-env", "Authorization=TOKEN", "--duplicates", "50"]).await;
    assert_eq!((run.code(), &*run.stderr), (0, ""), "{run:?}");
    assert_eq!(found(&run, "ok  ").len(), 7, "{}", run.stdout);
    assert_eq!(endpoint.effects().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_by_its_own_check() {
    for (fault, said) in [
        (Fault::IgnoresKeys, "a duplicate gets the same answer: another body"),
        (Fault::ClaimsLate, "10 concurrent duplicates run once: they had"),
        (Fault::IsNotMarked, "a duplicate is marked as replayed: the header"),
        (Fault::AnswersAnew, "a duplicate gets the same answer: another body"),
        (Fault::ReplaysOtherBodies, "another body with the same key is refused: it was answered 201"),
        (Fault::NeedsNoKey, "a missing key is refused: it had 1 effects"),
        (Fault::MixesKeys, "another key runs anew: it was replayed"),
        (Fault::RunsAgain, "a duplicate gets the same answer: but it had 1 effects of its own"),
    ] {
        let run = verify(&Endpoint::start(fault).await, &[]).await;
        assert_eq!(run.code(), 1, "{fault:?}: {}", run.stdout);
        let failed = found(&run, "FAIL");
        assert!(failed.iter().any(|line| line.contains(said)), "{fault:?}: {}", run.stdout);
        assert!(run.stdout.ends_with("\nnot idempotent\n"), "{}", run.stdout);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_lets_a_body_have_one_effect_is_not_failed_for_it() {
    let endpoint = Endpoint::start(Fault::HasOneEffectPerBody).await;
    let run = verify(&endpoint, &[]).await;
    assert_eq!(run.code(), 0, "{run:?}");
    let notes = found(&run, "note");
    assert!(notes.len() == 2 && notes[0].contains("--new-body") && notes[1].contains("--concurrent-body"), "{run:?}");
    assert!(run.stdout.ends_with("\nidempotent, as far as could be seen; see the notes\n"), "{}", run.stdout);
    let endpoint = Endpoint::start(Fault::HasOneEffectPerBody).await;
    let bodies = ["--body", "pi_1", "--other-body", "pi_2", "--new-body", "pi_3", "--concurrent-body", "pi_4"];
    let run = verify(&endpoint, &bodies).await;
    assert_eq!((run.code(), found(&run, "ok  ").len()), (0, 7), "{run:?}");
    assert!(run.stdout.ends_with("\nidempotent\n"), "{}", run.stdout);
    // What may have an effect of its own, and has none, is a fault still.
    let run = verify(&endpoint, &["--body", "pi_5", "--new-body", "pi_4"]).await;
    assert_eq!(run.code(), 2, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_probe_it_cannot_be_told_whether_duplicates_ran_once() {
    let endpoint = Endpoint::start(Fault::None).await;
    let url = format!("{}/orders", endpoint.url);
    let run = Program::new(&["verify", &url]).run().await;
    assert_eq!(run.code(), 2, "{run:?}");
    assert!(run.stdout.contains("NOT CHECKED") && run.stdout.ends_with("\ncould not tell\n"), "{}", run.stdout);
    assert_eq!(found(&run, "ok  ").len(), 6, "{}", run.stdout);
    // Answers that differ tell all the same.
    let late = Endpoint::start(Fault::ClaimsLate).await;
    let run = Program::new(&["verify", &format!("{}/orders", late.url)]).run().await;
    assert_eq!(run.code(), 1, "{run:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_may_answer_json() {
    let endpoint = Endpoint::start(Fault::None).await;
    let (url, probe) = (format!("{}/orders", endpoint.url), format!("{}/stats", endpoint.url));
    let run = Program::new(&["verify", &url, "--probe", &probe, "--probe-pointer", "/orders/count"]).run().await;
    assert_eq!(run.code(), 0, "{run:?}");
    let run = Program::new(&["verify", &url, "--probe", &probe]).run().await;
    assert_eq!(run.code(), 2, "{run:?}");
    assert!(run.error().contains("--probe-pointer"), "{}", run.stderr);
}

#[tokio::test]
async fn an_endpoint_that_refuses_everything_is_not_judged() {
    let endpoint = Endpoint::start(Fault::RefusesAll).await;
    let run = verify(&endpoint, &[]).await;
    assert_eq!(run.code(), 2, "{run:?}");
    assert!(run.stdout.contains("it was answered 401; give a body and headers"), "{}", run.stdout);
    assert_eq!(endpoint.requests().await, 1);
}

#[tokio::test]
async fn colors_can_be_asked_for() {
    let endpoint = Endpoint::start(Fault::IsNotMarked).await;
    let run = verify(&endpoint, &["--color", "always"]).await;
    assert!(run.stdout.contains("\u{1b}[32mok") && run.stdout.contains("\u{1b}[31mFAIL"), "{}", run.stdout);
}

#[tokio::test]
async fn arguments_that_make_no_sense_send_nothing() {
    let endpoint = Endpoint::start(Fault::None).await;
    let url = format!("{}/orders", endpoint.url);
    for (options, said) in [
        (vec!["--header-env", "Authorization=NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE is not set"),
        (vec!["--header-env", "Authorization"], "Name=VARIABLE"),
        (vec!["--header", "Idempotency-Key: mine"], "own; leave it out"),
        (vec!["--body", "x", "--other-body", "x"], "make them differ"),
        (vec!["--duplicates", "100000"], "2..=100"),
        (vec!["--probe", "ftp://127.0.0.1/"], "https://"),
        (vec!["--probe", "http://user:pw0rdPlantedXyz@127.0.0.1/"], "credentials"),
    ] {
        let run = Program::new(&[&["verify", &*url], &*options].concat()).run().await;
        assert_eq!(run.code(), 2, "{run:?}");
        assert!(run.error().contains(said) && !run.stderr.contains("pw0rdPlantedXyz"), "{said}: {}", run.stderr);
    }
    assert_eq!(endpoint.requests().await, 0);
    let run = Program::new(&["verify", "http://127.0.0.1:1/"]).run().await;
    assert_eq!(run.code(), 2);
    assert!(run.error().contains("check the address"), "{}", run.stderr);
}
