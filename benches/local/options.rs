//! What to run: arguments behind `cargo bench --bench local --`.

use anyhow::Context;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    /// Whether anything is to run.
    pub(crate) wanted: bool,
    /// One tiny run that must lose nothing and answer right.
    pub(crate) test: bool,
    /// Segments that are stored before anything is asked.
    pub(crate) segments: u64,
    /// Segments per second; each rate gets a store of its own, and the last one that lost nothing is asked.
    pub(crate) rates: Vec<u64>,
    /// Cores the daemon has: one for itself, or all, which it shares with the load.
    pub(crate) cores: usize,
    /// Flags for the daemon, beside those it needs.
    pub(crate) flags: Vec<String>,
}

impl Options {
    pub(crate) fn of_process() -> anyhow::Result<Self> {
        Self::parse(&std::env::args().skip(1).collect::<Vec<_>>())
    }

    /// Every bench gets the same arguments from cargo: a filter that does not name us selects nothing, and flags that
    /// other benches know are passed over.
    fn parse(arguments: &[String]) -> anyhow::Result<Self> {
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        // `cargo test --benches` gives no --bench: it wants to know whether the bench works.
        let test = has("--test") || !has("--bench");
        let mut options = Self::defaults(test);
        let mut filters = Vec::new();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--segments" => options.segments = value()?.parse().context("--segments")?,
                "--rates" => options.rates = numbers(value()?)?,
                "--cores" => options.cores = value()?.parse().context("--cores")?,
                "--flag" => options.flags.push(value()?.clone()),
                flag if flag.starts_with('-') => {}
                filter => filters.push(filter),
            }
        }
        options.wanted = !has("--list") && (filters.is_empty() || filters.contains(&"local"));
        Ok(options)
    }

    fn defaults(test: bool) -> Self {
        let (segments, rates) = if test { (2_000, vec![2_000]) } else { (1_000_000, vec![50_000, 100_000]) };
        Self { wanted: true, test, segments, rates, cores: 1, flags: Vec::new() }
    }
}

fn numbers(list: &str) -> anyhow::Result<Vec<u64>> {
    list.split(',').map(|number| number.parse().with_context(|| format!("{number:?} is no number"))).collect()
}
