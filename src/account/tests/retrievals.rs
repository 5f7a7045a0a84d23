use super::*;
use crate::query::TraceId;

const IDS: [&str; 2] = ["1-581cf771-a006649127e371903a2de979", "1-581cf771-a006649127e371903a2de97a"];

fn start(ids: &[&str]) -> Value {
    json!({"TraceIds": ids, "StartTime": 1, "EndTime": "1970-01-01T00:00:02Z"})
}

fn token(desk: &mut Desk, ids: &[&str]) -> String {
    desk.ask("StartTraceRetrieval", start(ids))["RetrievalToken"].as_str().unwrap().to_owned()
}

#[test]
fn a_retrieval_is_complete_at_once_and_outlives_the_program() {
    let mut desk = Desk::new();
    let token = token(&mut desk, &[IDS[0], IDS[1], IDS[0]]);
    for _ in 0..2 {
        let retrieval = desk.account.retrieval(&token).unwrap();
        assert_eq!(retrieval.trace_ids(), IDS.map(|id| TraceId::parse(id).unwrap()));
        assert_eq!(retrieval.range(), (1.0, 2.0));
        assert_eq!(retrieval.status(NOW + 3_600.0), "COMPLETE");
        assert_eq!(retrieval.status(NOW + 3_601.0), "TIMEOUT");
        let json = desk.account.to_json();
        desk.account = Account::load(json.as_bytes(), settings(), NOW).unwrap();
    }
}

#[test]
fn a_retrieval_can_be_cancelled() {
    let mut desk = Desk::new();
    let (one, other) = (token(&mut desk, &IDS), token(&mut desk, &[]));
    assert_ne!(one, other);
    assert_eq!(desk.ask("CancelTraceRetrieval", json!({"RetrievalToken": one})), json!({}));
    assert_eq!(desk.account.retrieval(&one).unwrap().status(NOW), "CANCELLED");
    assert_eq!(desk.account.retrieval(&other).unwrap().status(NOW), "COMPLETE");
    let unknown = json!({"RetrievalToken": "x"});
    desk.refuses("CancelTraceRetrieval", unknown, Code::ResourceNotFound, "Resource x not found");
    assert_eq!(desk.account.retrieval("x").unwrap_err().code, Code::ResourceNotFound);
}

#[test]
fn retrievals_are_refused_for_what_is_no_trace() {
    let mut desk = Desk::new();
    desk.refuses_as_invalid(
        "StartTraceRetrieval",
        start(&[IDS[0], "1-x"]),
        "Invalid trace id 1-x: incorrect id format",
    );
    desk.refuses_as_invalid(
        "StartTraceRetrieval",
        json!({"TraceIds": IDS, "StartTime": 2, "EndTime": 1}),
        "End time cannot be earlier than start time",
    );
}

#[test]
fn retrievals_are_forgotten_by_age_and_by_number() {
    let mut desk = Desk::new();
    let first = token(&mut desk, &IDS);
    for _ in 1..100 {
        token(&mut desk, &IDS);
    }
    assert!(desk.account.retrieval(&first).is_ok());
    let last = token(&mut desk, &IDS);
    assert!(desk.account.retrieval(&first).is_err());
    desk.now += 7_200.0;
    token(&mut desk, &IDS);
    assert_eq!(desk.account.retrieval(&last).unwrap().status(desk.now), "TIMEOUT");
    desk.now += 1.0;
    token(&mut desk, &IDS);
    assert!(desk.account.retrieval(&last).is_err());
}
