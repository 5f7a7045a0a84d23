use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(reservoir: u64, demands: &[(&str, u64)], expected: &[u64]) {
    let shares: Vec<u64> = demands.iter().map(|(client, _)| share(reservoir, demands, client)).collect();
    assert_eq!(shares, expected, "{reservoir} for {demands:?}");
}

#[test]
fn a_reservoir_is_split_by_demand() {
    check(10, &[("a", 100)], &[10]);
    check(10, &[("a", 0)], &[10]);
    check(0, &[("a", 7), ("b", 7)], &[0, 0]);
    check(10, &[("a", 75), ("b", 25)], &[8, 2]);
    check(10, &[("a", 1), ("b", 1), ("c", 1)], &[4, 3, 3]);
    check(1, &[("a", 1), ("b", 3)], &[0, 1]);
    check(3, &[("a", 0), ("b", 0)], &[2, 1]);
    check(10, &[("a", 0), ("b", 5)], &[0, 10]);
    check(i32::MAX as u64, &[("a", u64::MAX), ("b", u64::MAX)], &[1_073_741_824, 1_073_741_823]);
}

#[test]
fn a_client_that_is_not_known_gets_nothing() {
    assert_eq!(share(10, &[("a", 1)], "b"), 0);
}

proptest! {
    #[test]
    fn property_all_of_a_reservoir_is_split_whatever_the_order(
        reservoir in 0_u64..1_000_000,
        wanted in prop::collection::btree_map("[a-f]{1,3}", 0_u64..1_000_000, 1..20),
        turn in 0_usize..20,
    ) {
        let mut demands: Vec<(&str, u64)> = wanted.iter().map(|(client, demand)| (client.as_str(), *demand)).collect();
        let shares: Vec<u64> = demands.iter().map(|(client, _)| share(reservoir, &demands, client)).collect();
        prop_assert_eq!(shares.iter().sum::<u64>(), reservoir);
        let total: u64 = demands.iter().map(|(_, demand)| demand).sum();
        for ((_, demand), share) in demands.iter().zip(&shares) {
            // Nobody is further than one from what is due.
            let due = (reservoir * demand).checked_div(total).unwrap_or(reservoir / demands.len() as u64);
            prop_assert!((due..=due + 1).contains(share), "{} is due, {} given", due, share);
        }
        let clients: Vec<&str> = demands.iter().map(|(client, _)| *client).collect();
        let turn = turn % demands.len();
        demands.rotate_left(turn);
        let turned: Vec<u64> = clients.iter().map(|client| share(reservoir, &demands, client)).collect();
        prop_assert_eq!(turned, shares);
    }
}

fn reported(client: usize, requests: u64) -> Value {
    json!({"SamplingStatisticsDocuments": [
        {"RuleName": "Default", "ClientID": format!("{client:024x}"), "RequestCount": requests}
    ]})
}

fn quota(answer: &Value) -> u64 {
    answer["SamplingTargetDocuments"][0]["ReservoirQuota"].as_u64().unwrap()
}

#[test]
fn clients_share_until_they_were_silent_for_three_intervals() {
    let (rules, mut reports) = (Rules::new(1.0, 0.0), Reports::default());
    assert_eq!(quota(&reports.take(&rules, &reported(1, 10), 100.0)), 1);
    assert_eq!(quota(&reports.take(&rules, &reported(2, 5), 101.0)), 0);
    assert_eq!(quota(&reports.take(&rules, &reported(2, 5), 130.0)), 0);
    assert_eq!(quota(&reports.take(&rules, &reported(2, 5), 130.1)), 1);
}

#[test]
fn clients_are_forgotten_rather_than_kept_without_end() {
    let (rules, mut reports) = (Rules::new(1.0, 0.0), Reports::default());
    for client in 0..CLIENTS_MAX + 5 {
        reports.take(&rules, &reported(client, 1), 100.0 + client as f64 / 1_000.0);
    }
    let clients = &reports.clients["Default"];
    assert_eq!(clients.len(), CLIENTS_MAX);
    assert!(!clients.contains_key(&format!("{:024x}", 4)));
    assert!(clients.contains_key(&format!("{:024x}", 5)));
}
