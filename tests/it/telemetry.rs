//! PutTelemetryRecords.

use crate::support::{Daemon, FakeXRay, Mode, config};
use serde_json::json;

const PATH: &str = "/TelemetryRecords";

#[tokio::test]
async fn the_last_record_says_what_was_done_and_what_failed() {
    let fake = FakeXRay::start().await;
    fake.set(Mode::Fail(500, ""));
    let mut config = config("-a arn:aws:ec2:x", &fake.url());
    config.telemetry.hostname = Some("host".to_owned());
    config.telemetry.instance_id = Some("i-1".to_owned());
    let daemon = Daemon::start(config);
    daemon.send_numbered(50).await;
    daemon.send_raw(b"nothing");
    fake.until_requests("/TraceSegments", 1).await;
    fake.set(Mode::Take);
    fake.until_documents(50).await;
    daemon.stop().await;
    let record = fake.seen_at(PATH).pop().expect("a record was sent").json();
    let failed = fake.seen_at("/TraceSegments").iter().filter(|seen| seen.status == 500).count();
    assert_eq!(
        (&record["Hostname"], &record["EC2InstanceId"], &record["ResourceARN"]),
        (&json!("host"), &json!("i-1"), &json!("arn:aws:ec2:x"))
    );
    let counts = &record["TelemetryRecords"][0];
    let expected = json!({
        "SegmentsReceivedCount": 51, "SegmentsSentCount": 50, "SegmentsRejectedCount": 1, "SegmentsSpilloverCount": 0,
        "BackendConnectionErrors": { "HTTPCode5XXCount": failed, "HTTPCode4XXCount": 0, "TimeoutCount": 0,
                                     "ConnectionRefusedCount": 0, "UnknownHostCount": 0, "OtherCount": 0 },
        "Timestamp": counts["Timestamp"],
    });
    assert_eq!(counts, &expected);
}

#[tokio::test]
async fn a_daemon_that_received_nothing_sends_no_record() {
    let fake = FakeXRay::start().await;
    let daemon = Daemon::beside(&fake);
    daemon.stop().await;
    assert!(fake.seen_at(PATH).is_empty());
}

#[tokio::test]
async fn refused_connections_are_really_counted() {
    let fake = FakeXRay::start().await;
    let address = fake.address;
    let daemon = Daemon::beside(&fake);
    drop(fake);
    daemon.send_numbered(50).await;
    daemon.until("a failed try", |snapshot| snapshot.waiting.retry == 50).await;
    let fake = FakeXRay::start_at(address).await;
    fake.until_documents(50).await;
    daemon.stop().await;
    let record = fake.seen_at(PATH).pop().expect("a record was sent").json();
    let errors = &record["TelemetryRecords"][0]["BackendConnectionErrors"];
    assert!(errors["ConnectionRefusedCount"].as_i64() >= Some(1), "{errors}");
}
