//! The cases: a ladder of rates, bursts, and TLS beside its floor.

use crate::contender::Contender;
use crate::floor::Floor;
use crate::load::Generator;
use crate::mock::{Certificate, Mock};
use crate::options::Options;
use crate::pace::Sent;
use crate::process::Daemon;
use crate::report::{self, Sample};
use crate::support::{HEADER, USUAL_BYTES};
use crate::sys;
use anyhow::{bail, ensure};
use std::time::Duration;

/// Marks of documents that warm a daemon up: region, credentials and a connection are there after them.
const WARM_UP_MARKS: u64 = 8;

/// The core the daemon has for itself; none where there are not two.
type Core = Option<usize>;

/// Runs what was asked for.
///
/// # Errors
/// When a daemon does not start, or when a test delivers less than everything.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if options.cases.is_empty() {
        return Ok(());
    }
    let core = take_cores();
    sys::exact_sleeps();
    tell_conditions(options, core)?;
    for &case in &options.cases {
        match case {
            "ladder" => ladder(options, core)?,
            "burst" => burst(options, core)?,
            _ => tls(options, core)?,
        }
    }
    Ok(())
}

fn take_cores() -> Core {
    if let [load, daemon, ..] = sys::allowed_cores()[..]
        && sys::pin(load).is_ok()
    {
        return Some(daemon);
    }
    println!("not two cores to be had: daemon and load share what there is");
    None
}

/// Says what the receive buffers really are; a container may grant less than was asked for.
fn tell_conditions(options: &Options, core: Core) -> anyhow::Result<()> {
    let mock = Mock::start(None, true, 1)?;
    for contender in [Contender::large(), Contender::small()] {
        let daemon = contender.start(core, &mock.endpoint(), None)?;
        let granted = daemon.receive_buffer_bytes().map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        println!("{}: receive buffer of {granted} bytes", contender.name);
        if let Some(remark) = &daemon.remark {
            println!("{remark}");
        }
    }
    for other in &options.others {
        println!("{}: the receive buffer it takes itself", other.name);
    }
    Ok(())
}

/// Ours, with the large and the small buffer, then the others.
fn contenders(options: &Options) -> Vec<Contender> {
    let ours = [Contender::large(), Contender::small()];
    ours.into_iter().chain(options.others.iter().cloned()).collect()
}

/// The name over the column that compares with another daemon.
fn base_column(options: &Options) -> String {
    options.others.first().map_or_else(|| "CPU, no other".to_owned(), |other| format!("CPU / {}", other.name))
}

fn ladder(options: &Options, core: Core) -> anyhow::Result<()> {
    let title = format!(
        "ladder: {} byte datagrams for {} s, plain HTTP, median of {}",
        options.datagram_bytes,
        options.duration.as_secs(),
        options.runs
    );
    let base = base_column(options);
    let columns =
        ["rate/s", "daemon", "sent/s", "delivered %", "CPU µs/doc", &base, "kernel drops", "peak MB"];
    report::head(&title, &columns);
    let contenders = contenders(options);
    for &rate in &options.rates {
        let step = Step { rate, datagram_bytes: options.datagram_bytes, certificate: None };
        let medians = alternate(&contenders, options, core, &step, || Ok(()))?;
        tell_steps(rate, &contenders, &medians);
    }
    Ok(())
}

/// A steady load.
struct Step<'a> {
    rate: u64,
    datagram_bytes: usize,
    certificate: Option<&'a Certificate>,
}

/// Runs all contenders in turn, so that a machine whose speed drifts hurts all alike; the median of each.
/// `also` runs once in every turn.
fn alternate(
    contenders: &[Contender],
    options: &Options,
    core: Core,
    step: &Step<'_>,
    mut also: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Sample>> {
    let mut samples = vec![Vec::new(); contenders.len()];
    for _ in 0..options.runs.max(1) {
        for (contender, samples) in contenders.iter().zip(&mut samples) {
            let sample = steady(contender, options, core, step)?;
            check(options, contender, sample.delivered_percent)?;
            samples.push(sample);
        }
        also()?;
    }
    Ok(samples.iter().map(|samples| report::median(samples)).collect())
}

fn tell_steps(rate: u64, contenders: &[Contender], medians: &[Sample]) {
    let other = contenders.iter().position(|contender| !contender.ours);
    let base = other.map(|at| medians[at].cpu_us);
    for (contender, sample) in contenders.iter().zip(medians) {
        report::row(&[
            rate.to_string(),
            contender.name.clone(),
            format!("{:.0}", sample.rate),
            format!("{:.3}", sample.delivered_percent),
            format!("{:.2}", sample.cpu_us),
            report::ratio(sample.cpu_us, base),
            format!("{:.0}", sample.kernel_drops),
            format!("{:.1}", sample.peak_mb),
        ]);
    }
}

fn steady(contender: &Contender, options: &Options, core: Core, step: &Step<'_>) -> anyhow::Result<Sample> {
    let count = step.rate * options.duration.as_secs();
    let mut warm = Warm::start(contender, core, step.datagram_bytes, step.certificate, count)?;
    let cpu_before = warm.daemon.cpu()?;
    let (sent, arrived) = warm.load(count, |generator, marks| generator.send_evenly(marks, step.rate))?;
    let cpu = warm.daemon.cpu()?.saturating_sub(cpu_before);
    Ok(Sample {
        rate: sent.rate(),
        delivered_percent: percent(arrived, sent.count),
        cpu_us: micros_for_each(cpu, arrived),
        kernel_drops: warm.daemon.kernel_drops()? as f64,
        peak_mb: warm.daemon.peak_mb()?,
    })
}

fn burst(options: &Options, core: Core) -> anyhow::Result<()> {
    let title = format!("burst: {} byte datagrams at once into an idle daemon", options.datagram_bytes);
    report::head(&title, &["burst", "daemon", "arrived", "kernel drops", "µs between two"]);
    // A burst is more than the small buffer is sure to hold, so it has no place in a test.
    let contenders = if options.test { vec![Contender::large()] } else { contenders(options) };
    for &count in &options.bursts {
        let mut tried = vec![Vec::new(); contenders.len()];
        for _ in 0..options.runs.max(1) {
            for (contender, tried) in contenders.iter().zip(&mut tried) {
                tried.push(one_burst(contender, options, core, count)?);
            }
        }
        for (contender, tried) in contenders.iter().zip(tried) {
            let list = |figure: fn(&Burst) -> String| tried.iter().map(figure).collect::<Vec<_>>().join(", ");
            report::row(&[
                count.to_string(),
                contender.name.clone(),
                list(|burst| burst.arrived.to_string()),
                list(|burst| burst.kernel_drops.to_string()),
                format!("{:.1}", report::middle(tried.iter().map(|burst| burst.spacing_us).collect())),
            ]);
        }
    }
    Ok(())
}

#[derive(Clone)]
struct Burst {
    arrived: u64,
    kernel_drops: u64,
    spacing_us: f64,
}

fn one_burst(contender: &Contender, options: &Options, core: Core, count: u64) -> anyhow::Result<Burst> {
    let mut warm = Warm::start(contender, core, options.datagram_bytes, None, count)?;
    let (sent, arrived) = warm.load(count, Generator::send_at_once)?;
    check(options, contender, percent(arrived, sent.count))?;
    let kernel_drops = warm.daemon.kernel_drops()?;
    Ok(Burst { arrived, kernel_drops, spacing_us: micros_for_each(sent.took, sent.count) })
}

fn tls(options: &Options, core: Core) -> anyhow::Result<()> {
    let certificate = Certificate::for_localhost()?;
    let title = format!(
        "tls: {USUAL_BYTES} byte documents for {} s, HTTPS, median of {}",
        options.duration.as_secs(),
        options.runs
    );
    let columns = ["rate/s", "daemon", "sent/s", "delivered %", "CPU µs/doc", "CPU / floor", "peak MB"];
    report::head(&title, &columns);
    let contenders: Vec<_> = [Contender::large()].into_iter().chain(options.others.iter().cloned()).collect();
    let datagram_bytes = HEADER.len() + USUAL_BYTES;
    let step = Step { rate: options.tls_rate, datagram_bytes, certificate: Some(&certificate) };
    let mut floors = Vec::new();
    let medians = alternate(&contenders, options, core, &step, || {
        floors.push(floor(options, core, &step, &certificate)?);
        Ok(())
    })?;
    let floor = report::median(&floors);
    let names = contenders.iter().map(|contender| contender.name.as_str());
    for (name, sample) in names.zip(medians).chain([("the floor", floor)]) {
        report::row(&[
            options.tls_rate.to_string(),
            name.to_owned(),
            format!("{:.0}", sample.rate),
            format!("{:.3}", sample.delivered_percent),
            format!("{:.2}", sample.cpu_us),
            report::ratio(sample.cpu_us, Some(floor.cpu_us)),
            if sample.peak_mb.is_nan() { "–".to_owned() } else { format!("{:.1}", sample.peak_mb) },
        ]);
    }
    Ok(())
}

fn floor(
    options: &Options,
    core: Core,
    step: &Step<'_>,
    certificate: &Certificate,
) -> anyhow::Result<Sample> {
    let count = step.rate * options.duration.as_secs();
    let mock = Mock::start(Some(certificate), false, count)?;
    let floor = Floor::start(core, &mock, certificate)?;
    let mut generator = Generator::new(floor.udp(), step.datagram_bytes)?;
    let sent = generator.send_evenly(0..count, step.rate)?;
    let cpu = floor.finish()?;
    let arrived = mock.settled(count)?;
    Ok(Sample {
        rate: sent.rate(),
        delivered_percent: percent(arrived, count),
        cpu_us: micros_for_each(cpu, arrived),
        kernel_drops: f64::NAN,
        peak_mb: f64::NAN,
    })
}

/// A daemon that has delivered its first documents and waits for more.
struct Warm {
    // Dropped in this order: the daemon goes before what it sends to.
    daemon: Daemon,
    generator: Generator,
    mock: Mock,
}

impl Warm {
    fn start(
        contender: &Contender,
        core: Core,
        datagram_bytes: usize,
        certificate: Option<&Certificate>,
        count: u64,
    ) -> anyhow::Result<Self> {
        let mock = Mock::start(certificate, true, WARM_UP_MARKS + count)?;
        let authority = certificate.map(|certificate| certificate.pem.as_str());
        let daemon = contender.start(core, &mock.endpoint(), authority)?;
        let mut generator = Generator::new(daemon.udp(), datagram_bytes)?;
        for mark in 0..WARM_UP_MARKS {
            generator.send_at_once(mark..mark + 1)?;
            if mock.settled(1)? == 1 {
                return Ok(Self { daemon, generator, mock });
            }
        }
        bail!("{}: no document came through", contender.name)
    }

    /// Sends documents; how that went, and how many of them came.
    fn load(
        &mut self,
        count: u64,
        generate: impl FnOnce(&mut Generator, std::ops::Range<u64>) -> anyhow::Result<Sent>,
    ) -> anyhow::Result<(Sent, u64)> {
        let before = self.mock.arrived();
        let sent = generate(&mut self.generator, WARM_UP_MARKS..WARM_UP_MARKS + count)?;
        let arrived = self.mock.settled(before + count)? - before;
        let twice = self.mock.twice();
        if twice > 0 {
            println!("{twice} documents came twice");
        }
        Ok((sent, arrived))
    }
}

fn check(options: &Options, contender: &Contender, delivered_percent: f64) -> anyhow::Result<()> {
    let all = delivered_percent >= 100.0;
    ensure!(all || !options.test, "{}: {delivered_percent:.3} % were delivered", contender.name);
    Ok(())
}

fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn micros_for_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}
