//! What to run: arguments behind `cargo bench --bench daemon --`, and the variable `OTHER`.

use crate::contender::Contender;
use anyhow::{Context, bail};
use std::time::Duration;
use xrayd::config::Environment;

/// The cases, in the order they run.
pub(crate) const CASES: [&str; 3] = ["ladder", "burst", "tls"];

/// What the command line and the environment ask for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Cases to run, out of [`CASES`].
    pub(crate) cases: Vec<&'static str>,
    /// One tiny run of each case that has to deliver everything.
    pub(crate) test: bool,
    /// Datagrams per second, one step of the ladder each.
    pub(crate) rates: Vec<u64>,
    /// Datagrams in a burst.
    pub(crate) bursts: Vec<u64>,
    /// Documents per second of the TLS case.
    pub(crate) tls_rate: u64,
    /// How long each step of ladder and TLS lasts.
    pub(crate) duration: Duration,
    /// Runs of which the median is shown.
    pub(crate) runs: usize,
    /// Length of a datagram of ladder and burst, header included.
    pub(crate) datagram_bytes: usize,
    /// Daemons to run beside ours.
    pub(crate) others: Vec<Contender>,
}

impl Options {
    pub(crate) fn of_process() -> anyhow::Result<Self> {
        let arguments: Vec<_> = std::env::args().skip(1).collect();
        let others = Environment::of_process().get("OTHER").map(others).transpose()?.unwrap_or_default();
        Self::parse(&arguments, others)
    }

    /// Every bench gets the same arguments from cargo: a filter that names no case of ours selects none, and
    /// flags that other benches know are passed over.
    fn parse(arguments: &[String], others: Vec<Contender>) -> anyhow::Result<Self> {
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        // `cargo test --benches` gives no --bench: it wants to know whether the bench works.
        let test = has("--test") || !has("--bench");
        let mut options = Self::defaults(test, others);
        let mut filters = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--rates" => options.rates = numbers(value()?)?,
                "--bursts" => options.bursts = numbers(value()?)?,
                "--tls-rate" => options.tls_rate = value()?.parse().context("--tls-rate")?,
                "--secs" => options.duration = Duration::from_secs(value()?.parse().context("--secs")?),
                "--runs" => options.runs = value()?.parse().context("--runs")?,
                "--size" => options.datagram_bytes = value()?.parse().context("--size")?,
                flag if flag.starts_with('-') => {}
                filter => filters.push(filter),
            }
        }
        let wanted = |case: &&str| filters.is_empty() || filters.contains(case);
        options.cases = if has("--list") { Vec::new() } else { CASES.into_iter().filter(wanted).collect() };
        Ok(options)
    }

    fn defaults(test: bool, others: Vec<Contender>) -> Self {
        let usual = Self {
            cases: Vec::new(),
            test,
            rates: vec![1_000, 5_000, 20_000, 50_000, 100_000, 200_000],
            bursts: vec![128, 1024, 5000],
            tls_rate: 100_000,
            duration: Duration::from_secs(3),
            runs: 1,
            datagram_bytes: 1024,
            others,
        };
        if !test {
            return usual;
        }
        let duration = Duration::from_secs(1);
        Self { rates: vec![2_000], bursts: vec![128], tls_rate: 2_000, duration, ..usual }
    }
}

fn numbers(list: &str) -> anyhow::Result<Vec<u64>> {
    list.split(',').map(|number| number.parse().with_context(|| format!("{number:?} is no number"))).collect()
}

/// `NAME=PATH`, separated by commas.
fn others(list: &str) -> anyhow::Result<Vec<Contender>> {
    let other = |entry: &str| match entry.split_once('=') {
        Some((name, path)) => Contender::other(name, path).with_context(|| format!("OTHER: {entry}")),
        None => bail!("OTHER: {entry:?} is not NAME=PATH"),
    };
    list.split(',').map(other).collect()
}
