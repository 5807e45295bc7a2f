//! The queue among peers that die, hang and misbehave, in a world of its own, by the thousand.

#[path = "../sim/mod.rs"]
#[expect(unreachable_pub, reason = "it is part of another crate as well")]
mod sim;

use std::panic::catch_unwind;

use sim::{Bug, Choices, Plan, World};

const PLAN: Plan = Plan::USUAL;
const WITH_JOURNAL: Plan = Plan { journal: true, ..Plan::USUAL };
const WITH_DUPLICATES: Plan = Plan { duplicates: true, ..Plan::USUAL };
const WITH_UPGRADES: Plan = Plan { upgrades: true, ..Plan::USUAL };
const WITH_BOTH: Plan = Plan { upgrades: true, ..WITH_JOURNAL };

/// How many worlds there are in the ordinary tests.
const SEEDS: u64 = 1_000;

fn run(seed: u64, plan: Plan) -> usize {
    World::new(Choices::Seeded(seed), plan).run()
}

/// `SEED` names one, and `SEEDS` says how many there are.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(SEEDS),
    }
}

/// The first of them in which a promise is broken.
fn first_failure(seeds: impl IntoIterator<Item = u64>, plan: Plan) -> Option<u64> {
    seeds.into_iter().find(|&seed| catch_unwind(|| run(seed, plan)).is_err())
}

#[test]
fn whatever_goes_wrong_each_request_ends_once_and_everybody_who_stays_has_an_answer() {
    let failure = first_failure(seeds(), PLAN);
    assert_eq!(failure, None, "the seed fails; keep it in tests/sim/seeds.txt");
}

#[test]
fn whatever_goes_wrong_a_queue_that_is_killed_goes_on_with_its_journal() {
    let failure = first_failure(seeds(), WITH_JOURNAL);
    assert_eq!(
        failure, None,
        "the seed fails; keep it in tests/sim/seeds.txt, with `journal` behind it"
    );
}

#[test]
fn whatever_goes_wrong_clients_of_one_name_have_each_their_own_answers() {
    let failure = first_failure(seeds(), WITH_DUPLICATES);
    assert_eq!(
        failure, None,
        "the seed fails; keep it in tests/sim/seeds.txt, with `duplicates` behind it"
    );
}

#[test]
fn whatever_goes_wrong_a_queue_that_leaves_all_to_the_next_changes_nothing_for_anybody() {
    for (plan, name) in [(WITH_UPGRADES, "upgrades"), (WITH_BOTH, "both")] {
        let failure = first_failure(seeds(), plan);
        assert_eq!(
            failure, None,
            "the seed fails; keep it in tests/sim/seeds.txt, with `{name}` behind it"
        );
    }
}

#[test]
fn seeds_that_have_failed_before_do_not_fail_again() {
    let kept = include_str!("../sim/seeds.txt").lines().filter(|line| !line.starts_with('#'));
    let kept: Vec<_> = kept.map(|line| line.split_once(' ').unwrap_or((line, ""))).collect();
    assert!(!kept.is_empty());
    for (seed, plan) in kept {
        let plan = match plan {
            "" => PLAN,
            "journal" => WITH_JOURNAL,
            "duplicates" => WITH_DUPLICATES,
            "upgrades" => WITH_UPGRADES,
            "both" => WITH_BOTH,
            other => panic!("there is no plan {other}"),
        };
        assert_eq!(first_failure([seed.parse().expect("a seed")], plan), None);
    }
}

#[test]
fn what_a_fuzzer_has_put_together_ends_as_well() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/broker_ops");
    let mut answered = 0;
    for file in std::fs::read_dir(corpus).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        answered += World::new(Choices::Given(bytes, 0), PLAN).run();
    }
    assert!(answered > 0);
}

#[test]
fn a_queue_that_loses_every_fiftieth_reply_is_found_out() {
    let plan = Plan { bug: Some(Bug::LosesReplies(50)), ..PLAN };
    assert!(first_failure(0..1_000, plan).is_some());
}

#[test]
fn a_journal_that_loses_every_fiftieth_record_is_found_out() {
    let plan = Plan { bug: Some(Bug::LosesRecords(50)), ..WITH_JOURNAL };
    assert!(first_failure(0..1_000, plan).is_some());
}

#[test]
fn a_world_is_the_same_for_the_same_seed_and_not_an_empty_one() {
    let answered: usize = (0..20).map(|seed| run(seed, PLAN)).sum();
    assert!(answered > 200, "{answered} requests in 20 worlds");
    assert_eq!(answered, (0..20).map(|seed| run(seed, PLAN)).sum());
}
