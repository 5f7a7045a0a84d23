//! Figures of several runs, and the Markdown rows they are shown in.

#![allow(dead_code, reason = "every bench takes the parts it needs")]

/// What one run of a daemon under a steady load gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Datagrams per second that were really sent.
    pub(crate) rate: f64,
    pub(crate) delivered_percent: f64,
    /// CPU time for each delivered document, in µs.
    pub(crate) cpu_us: f64,
    pub(crate) kernel_drops: f64,
    pub(crate) peak_mb: f64,
}

/// The median of each figure.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let of = |figure: fn(&Sample) -> f64| middle(samples.iter().map(figure).collect());
    Sample {
        rate: of(|sample| sample.rate),
        delivered_percent: of(|sample| sample.delivered_percent),
        cpu_us: of(|sample| sample.cpu_us),
        kernel_drops: of(|sample| sample.kernel_drops),
        peak_mb: of(|sample| sample.peak_mb),
    }
}

/// The median.
pub(crate) fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Prints the head of a table.
pub(crate) fn head(title: &str, columns: &[&str]) {
    println!("\n{title}\n");
    println!("| {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len()));
}

/// Prints one row.
pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// How many times `value` is of `base`; a dash without a base.
pub(crate) fn ratio(value: f64, base: Option<f64>) -> String {
    base.map_or_else(|| "–".to_owned(), |base| format!("{:.2}", value / base))
}
