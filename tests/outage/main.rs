//! The study behind the `outage` example: that its model and its peers are what they are said to be.
#![allow(clippy::expect_used, reason = "a case that cannot be run fails the test that asked for it")]

#[path = "../../examples/outage/study/mod.rs"]
mod study;

use study::figures::{Figure, Measured, NEVER};
use study::goals::{Goal, goals};
use study::peers::Peer;
use study::scenario::Scenario;
use study::{Case, Study};

/// Fifty callers a second, one process, one seed.
fn case(scenario: &str, peers: &[Peer]) -> Case {
    let study = Study {
        scenarios: vec![scenario.parse().expect("the test writes it right")],
        rates: vec![50],
        processes: vec![1],
        peers: peers.to_vec(),
        seeds: 1,
    };
    study.run(|_| ()).remove(0)
}

fn figure(scenario: &str, peer: Peer, figure: Figure) -> f64 {
    case(scenario, &[peer]).of(peer).expect("it was run").mean(figure)
}

fn is_about(measured: f64, expected: f64) {
    assert!((measured - expected).abs() < 0.06, "{measured} is not about {expected}");
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let peers = [Peer::Payproof, Peer::Bare, Peer::Tower64, Peer::TowerBudget];
    let run = || case("fail:0.4,slow:0.5@6-9,hang:0.02", &peers);
    let (one, two) = (run(), run());
    for peer in peers {
        for figure in Figure::ALL {
            let of = |case: &Case| case.of(peer).expect("it was run").mean(figure);
            assert!((of(&one) - of(&two)).abs() < 1e-12, "{}: {} {}", one.scenario.name, peer.name(), figure.name());
        }
    }
}

#[test]
fn a_bare_client_gets_what_the_model_gives() {
    is_about(figure("fail:0.3", Peer::Bare, Figure::Valid), 0.7);
    is_about(figure("hang:0.5", Peer::Bare, Figure::Valid), 0.5);
    is_about(figure("hang:0.5", Peer::Bare, Figure::Longest), 30.0);
    is_about(figure("slow:2", Peer::Bare, Figure::Longest), 2.05);
    is_about(figure("flap:1", Peer::Bare, Figure::Valid), 0.5);
    is_about(figure("fail:0.2,fail:0.5", Peer::Bare, Figure::Valid), 0.4);
}

#[test]
fn a_token_bucket_and_congestion_let_through_what_they_have_room_for() {
    is_about(figure("rate:0.5", Peer::Bare, Figure::Valid), 0.5);
    is_about(figure("congest:0.5:1", Peer::Bare, Figure::Valid), 0.5);
    is_about(figure("congest:0.5:2", Peer::Bare, Figure::Valid), 0.25);
    is_about(figure("congest:2:2", Peer::Bare, Figure::Valid), 1.0);
}

#[test]
fn recovery_is_told_from_a_trouble_that_does_not_end() {
    is_about(figure("congest:0.5:2@5-40", Peer::Bare, Figure::Recovery), NEVER);
    is_about(figure("fail:1@5-7,fail:0.5@7-10", Peer::Bare, Figure::Recovery), 0.0);
    let full = figure("hang:1@5-7", Peer::Tower64, Figure::Recovery);
    assert!((27.0..=30.0).contains(&full), "until the time-outs of those who hold the places: {full}");
}

#[test]
fn peers_make_the_attempts_that_they_are_said_to_make() {
    is_about(figure("fail:1", Peer::Bare, Figure::Calls), 1.0);
    let unbounded = figure("fail:1", Peer::Middleware, Figure::Calls);
    assert!((3.8..=4.0).contains(&unbounded), "three retries each, but for those at the end: {unbounded}");
    // What it saved is 100 retries, and one for every five answers of the seconds before.
    let bounded = figure("fail:1", Peer::TowerBudget, Figure::Calls);
    assert!((1.1..=1.4).contains(&bounded), "{bounded}");
}

#[test]
fn middleware_tries_again_what_timed_out() {
    is_about(figure("hang:1", Peer::Middleware, Figure::Valid), 1.0);
    let waiters = figure("hang:1", Peer::Middleware, Figure::Waiters);
    assert!((29.0..=30.5).contains(&waiters), "after its 30 s, and no sooner: {waiters}");
}

#[test]
fn towers_places_are_a_wall_where_answers_are_slow() {
    let case = case("slow:8", &[Peer::Bare, Peer::Tower64]);
    let of = |peer| case.of(peer).map(|measured| measured.mean(Figure::First)).expect("it was run");
    is_about(of(Peer::Bare), 0.0);
    assert!(of(Peer::Tower64) > 5.0, "64 places give 8 answers a second");
}

#[test]
fn a_goal_that_is_missed_says_so() {
    let case = case("fail:0.5", &[Peer::Bare, Peer::Middleware]);
    let better = case.of(Peer::Middleware).copied().expect("it was run");
    let worse = case.of(Peer::Bare).copied().expect("it was run");
    let as_payproof = |own: Measured| {
        let peers = vec![(Peer::Payproof, own), (Peer::Bare, worse), (Peer::Middleware, better)];
        goals(&Case { peers, scenario: case.scenario.clone(), seeds: Vec::new(), ..case })
    };
    assert!(as_payproof(better).iter().all(Goal::is_met), "{:?}", as_payproof(better));
    let missed: Vec<_> = as_payproof(worse).into_iter().filter(|goal| !goal.is_met()).collect();
    let [missed] = &*missed else { panic!("{missed:?}") };
    assert!(missed.rule.starts_with("valid by the deadline"), "{missed:?}");
}

#[test]
fn the_mean_and_the_worst_of_all_seeds_are_told_apart() {
    let study = Study {
        scenarios: vec!["fail:0.5".parse().expect("a scenario")],
        rates: vec![50],
        processes: vec![1],
        peers: vec![Peer::Bare, Peer::TowerBudget],
        seeds: 5,
    };
    let case = study.run(|_| ()).remove(0);
    let [bare, budget] = [Peer::Bare, Peer::TowerBudget].map(|peer| *case.of(peer).expect("it was run"));
    assert!(bare.worst(Figure::Valid) < bare.mean(Figure::Valid), "the worst share is the least");
    assert!(budget.worst(Figure::Calls) > budget.mean(Figure::Calls), "and of calls it is the most");
    assert!(bare.mean(Figure::Valid) < budget.mean(Figure::Valid), "each peer has its own seeds' figures");
    let alone = case.seeds.iter().filter_map(|seed| seed.of(Peer::Bare)).map(|seed| seed.mean(Figure::Valid));
    assert!((alone.sum::<f64>() / 5.0 - bare.mean(Figure::Valid)).abs() < 1e-12, "and each seed its own case");
}

#[test]
fn every_scenario_leaves_callers_before_and_after_it() {
    for scenario in Scenario::named().into_iter().chain((1..=200).map(Scenario::mixture)) {
        assert!(scenario.begin() >= 4.0, "{scenario:?}: what is normal is measured before it");
        assert!(scenario.end() <= 19.0, "{scenario:?}: callers arrive for 20 s after it");
    }
}

#[test]
fn a_text_that_makes_no_sense_is_refused() {
    for text in ["", "fall:0.5", "fail:2", "fail:-1", "fail:0.5@9", "fail:0.5@9-3", "fail:0.5@1-50", "slow:x"] {
        assert!(text.parse::<Scenario>().is_err(), "{text}");
    }
}

#[test]
fn where_most_calls_fail_no_fewer_are_answered_at_once_than_by_a_bare_client() {
    let (rate, seeds) = (50, 2_u32);
    for share in ["0.75", "0.9", "0.99"] {
        let study = Study {
            scenarios: vec![format!("fail:{share}").parse().expect("a scenario")],
            rates: vec![rate],
            processes: vec![1],
            peers: vec![Peer::Payproof, Peer::Bare],
            seeds: seeds.into(),
        };
        let case = study.run(|_| ()).remove(0);
        let of = |peer| case.of(peer).expect("it was run").mean(Figure::Prompt);
        let (own, bare) = (of(Peer::Payproof), of(Peer::Bare));
        // Each peer draws its own failures: so far apart are two such shares by chance.
        let chance = 2.0 * (bare * (1.0 - bare) / (f64::from(rate) * 10.0 * f64::from(seeds))).sqrt();
        assert!(own >= bare - chance, "{share}: {own} of {bare}");
    }
}

/// The goals of a scenario with so many callers a second in so many processes, but for those that count calls of a quarter
/// of a second: one call of one caller is four times the usual there.
fn missed(scenario: &str, rate: u32, processes: usize) -> Vec<Goal> {
    let study = Study {
        scenarios: vec![scenario.parse().expect("a scenario")],
        rates: vec![rate],
        processes: vec![processes],
        peers: vec![Peer::Payproof, Peer::Bare, Peer::Middleware],
        seeds: 1,
    };
    let goals = goals(&study.run(|_| ()).remove(0));
    assert!(goals.len() >= 5, "{goals:?}");
    goals.into_iter().filter(|goal| !goal.is_met() && !goal.rule.starts_with("no quarter")).collect()
}

#[test]
fn twenty_processes_reach_the_goals_too() {
    for scenario in ["fail_100", "fail_30", "hang", "hang_half", "rate_half_told", "hang_then_fail_then_limit"] {
        let missed = missed(scenario, 50, 20);
        assert!(missed.is_empty(), "{scenario}: {missed:?}");
    }
}

#[test]
fn one_caller_a_second_is_answered_too() {
    for scenario in ["fail_100", "fail_30", "fail_60", "hang", "slow_2s", "rate_half_told"] {
        let missed = missed(scenario, 1, 1);
        assert!(missed.is_empty(), "{scenario}: {missed:?}");
    }
}

/// The goal that is missed. A told limit is believed: at random ones the gate is closed for most of the time, and few
/// are answered within three seconds.
const MISSED: (&str, &str) = ("limit_random_half", "valid within 3 s");

#[test]
fn the_goals_hold() {
    let study = Study {
        scenarios: Scenario::named(),
        rates: vec![50],
        processes: vec![1],
        peers: vec![Peer::Payproof, Peer::Bare, Peer::Middleware],
        seeds: 2,
    };
    let mut checked = 0;
    for case in study.run(|_| ()) {
        for goal in goals(&case) {
            let is_known = *case.scenario.name == *MISSED.0 && goal.rule.starts_with(MISSED.1);
            assert!(goal.is_met() != is_known, "{}: {goal:?}", case.scenario.name);
            checked += 1;
        }
    }
    assert!(checked > 140, "{checked} goals");
}
