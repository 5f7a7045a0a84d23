//! Sampling targets: how much of a rule's reservoir each of its clients may use.
//!
//! Clients report every ten seconds what they saw, and are told their share. X-Ray's first answer to a new client has
//! no quota; SDKs read numbers only, so here every answer is complete.

use super::model;
use super::rules::{Rule, Rules};
use super::summaries::{Counts, Summaries};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};

/// Seconds until a client is to report again.
const INTERVAL_SECONDS: u64 = 10;
/// A client that was silent for longer is gone: three intervals.
const ACTIVE_SECONDS: f64 = 30.0;
/// For how long a quota holds (X-Ray developer guide; recorded answers).
const QUOTA_SECONDS: f64 = 300.0;
/// For how long a raised rate holds (recorded answers).
const BOOST_TTL_SECONDS: f64 = 20.0;
/// For how long a rate is raised before it has to cool down (X-Ray developer guide, "Adaptive sampling").
const BOOST_SECONDS: f64 = 60.0;
/// Most clients of a rule that are remembered. One that is forgotten shares again with its next report.
const CLIENTS_MAX: usize = 1_000;

/// What clients reported lately.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// By rule, then by client.
    clients: HashMap<String, BTreeMap<String, Report>>,
    /// When the rate of a rule was raised last.
    boosted_at: HashMap<String, f64>,
    summaries: Summaries,
}

/// The last report of a client.
#[derive(Debug, Clone, Copy)]
struct Report {
    at: f64,
    requests: u64,
}

impl Reports {
    /// Takes the reports of a request, and answers it.
    pub(super) fn take(&mut self, rules: &Rules, body: &Value, now: f64) -> Value {
        self.forget_rules(rules);
        let unprocessed_boosts = self.take_boosts(rules, body, now);
        let (mut reported, mut unprocessed) = (Vec::new(), Vec::new());
        for document in model::list(body, "SamplingStatisticsDocuments") {
            let (name, client) = (model::text(document, "RuleName"), model::text(document, "ClientID"));
            let (Some(name), Some(client)) = (name, client) else { continue };
            let Some(rule) = rules.get(name) else {
                unprocessed.push(unknown_rule(name));
                continue;
            };
            self.note(name, client, counts(document), now);
            if !reported.iter().any(|(other, client_before, _)| (*other, *client_before) == (name, client)) {
                reported.push((name, client, rule));
            }
        }
        // Shares are told when all reports are in, so that the order of documents does not matter.
        let targets: Vec<Value> =
            reported.into_iter().map(|(name, client, rule)| self.target(name, client, rule, now)).collect();
        json!({
            "LastRuleModification": rules.changed_at,
            "SamplingTargetDocuments": targets,
            "UnprocessedBoostStatistics": unprocessed_boosts,
            "UnprocessedStatistics": unprocessed,
        })
    }

    /// What was reported in the last hour, rule by rule.
    pub(super) fn summaries(&mut self, now: f64) -> Value {
        self.summaries.list(now)
    }

    /// Rules that are gone have no clients.
    fn forget_rules(&mut self, rules: &Rules) {
        self.clients.retain(|name, _| rules.get(name).is_some());
        self.boosted_at.retain(|name, _| rules.get(name).is_some());
    }

    /// When the report came in counts, not what its client's clock said.
    fn note(&mut self, name: &str, client: &str, counts: Counts, now: f64) {
        self.summaries.add(name, counts, now);
        let clients = self.clients.entry(name.to_owned()).or_default();
        clients.retain(|_, report| now - report.at <= ACTIVE_SECONDS);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(client) {
            let oldest = clients.iter().min_by(|one, other| one.1.at.total_cmp(&other.1.at));
            if let Some(oldest) = oldest.map(|(client, _)| client.clone()) {
                clients.remove(&oldest);
            }
        }
        clients.insert(client.to_owned(), Report { at: now, requests: counts.requests });
    }

    fn target(&self, name: &str, client: &str, rule: &Rule, now: f64) -> Value {
        let demands: Vec<(&str, u64)> = self.clients.get(name).map_or_else(Vec::new, |clients| {
            clients.iter().map(|(client, report)| (client.as_str(), report.requests)).collect()
        });
        let mut target = json!({
            "FixedRate": rule.fixed_rate,
            "Interval": INTERVAL_SECONDS,
            "ReservoirQuota": share(rule.reservoir(), &demands, client),
            "ReservoirQuotaTTL": (now + QUOTA_SECONDS).floor(),
            "RuleName": name,
        });
        let started = self.boosted_at.get(name).filter(|started| is_boosted(**started, now));
        if let (Some(boost), Some(_)) = (rule.boost, started) {
            target["SamplingBoost"] = json!({
                "BoostRate": boost.rate_max.max(rule.fixed_rate),
                "BoostRateTTL": (now + BOOST_TTL_SECONDS).floor(),
            });
        }
        target
    }

    /// Raises the rate of rules whose requests went wrong. How far X-Ray raises it is its own secret; here it is as far
    /// as the rule allows, since whoever looks for a failure on one machine wants to see it.
    fn take_boosts(&mut self, rules: &Rules, body: &Value, now: f64) -> Vec<Value> {
        let mut unprocessed = Vec::new();
        for document in model::list(body, "SamplingBoostStatisticsDocuments") {
            let Some(name) = model::text(document, "RuleName") else { continue };
            let Some(rule) = rules.get(name) else {
                unprocessed.push(unknown_rule(name));
                continue;
            };
            let Some(boost) = rule.boost else { continue };
            // Recorded: counts that cannot be are taken without a word, and raise nothing.
            let went_wrong = count(document, "AnomalyCount");
            let is_credible = went_wrong <= count(document, "TotalCount");
            let cooldown = boost.cooldown_minutes.max(1) as f64 * 60.0;
            let is_cool = self.boosted_at.get(name).is_none_or(|started| {
                // A clock that was set back must not hold a boost up for ever.
                !(0.0..BOOST_SECONDS + cooldown).contains(&(now - started))
            });
            if went_wrong > 0 && is_credible && is_cool {
                self.boosted_at.insert(name.to_owned(), now);
            }
        }
        unprocessed
    }
}

fn is_boosted(started: f64, now: f64) -> bool {
    (0.0..BOOST_SECONDS).contains(&(now - started))
}

fn unknown_rule(name: &str) -> Value {
    json!({"ErrorCode": "400", "Message": "Unknown rule", "RuleName": name})
}

/// What a document reports. The sampler of OpenTelemetry for Python writes `SampleCount`; some write neither.
fn counts(document: &Value) -> Counts {
    Counts {
        requests: count(document, "RequestCount"),
        sampled: count(document, "SampledCount").max(count(document, "SampleCount")),
        borrowed: count(document, "BorrowCount"),
    }
}

fn count(document: &Value, name: &str) -> u64 {
    model::integer(document, name).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
}

/// One client's part of a reservoir, which is split by demand. What does not divide goes to the largest remainders,
/// and among equal ones to the client whose id comes first. When nobody wants anything, all get the same.
fn share(reservoir: u64, demands: &[(&str, u64)], client: &str) -> u64 {
    let total: u128 = demands.iter().map(|(_, demand)| u128::from(*demand)).sum();
    let weight = |demand: u64| if total == 0 { 1 } else { u128::from(demand) };
    let total = if total == 0 { demands.len() as u128 } else { total };
    // A share is whole / total; its remainder decides who gets one of those that are left.
    let whole = |demand: u64| u128::from(reservoir) * weight(demand);
    let Some((_, own)) = demands.iter().find(|(other, _)| *other == client) else { return 0 };
    let given: u128 = demands.iter().map(|(_, demand)| whole(*demand) / total).sum();
    let left = u128::from(reservoir) - given;
    let own_remainder = whole(*own) % total;
    let before = demands.iter().filter(|(other, demand)| {
        let remainder = whole(*demand) % total;
        remainder > own_remainder || remainder == own_remainder && *other < client
    });
    let extra = u128::from((before.count() as u128) < left);
    u64::try_from(whole(*own) / total + extra).unwrap_or(reservoir)
}

#[cfg(test)]
mod tests;
