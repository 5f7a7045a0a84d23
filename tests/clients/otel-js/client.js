// OpenTelemetry's X-Ray sampler for JavaScript. `client.js sample RULE SECONDS`; see ../README.md.
//
// The sampler does not say which rule it applied. So RULE has to sample everything where nothing else does: neither
// the sampler's fallback (one a second and 5 %) nor any other rule takes so many requests in a row.
'use strict';

const { ROOT_CONTEXT, SpanKind } = require('@opentelemetry/api');
const { resourceFromAttributes } = require('@opentelemetry/resources');
const { AWSXRayRemoteSampler } = require('@opentelemetry/sampler-aws-xray');
const { RandomIdGenerator, SamplingDecision } = require('@opentelemetry/sdk-trace');

const NAME = 'cap-otel-js';
const DECISION_INTERVAL_MS = 100;
// Targets are reported every 10 s, counted from the sampler's start, with up to 0.1 s of jitter.
const REPORT_WAIT_MS = 13_000;
const IN_A_ROW = 20;

const round = (ms) => Math.round(ms * 1000) / 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The TCP part of AWS_XRAY_DAEMON_ADDRESS, which the sampler knows nothing of.
function endpoint() {
  const parts = (process.env.AWS_XRAY_DAEMON_ADDRESS ?? '127.0.0.1:2000').split(' ');
  const tcp = parts.find((part) => part.startsWith('tcp:'))?.slice('tcp:'.length) ?? parts[0];
  return `http://${tcp}`;
}

const ATTRIBUTES = {
  'http.request.method': 'GET',
  'url.path': '/cap',
  'url.full': 'http://example.com/cap',
  'server.address': 'example.com',
};

async function sample(rule, seconds) {
  const sampler = new AWSXRayRemoteSampler({
    endpoint: endpoint(),
    resource: resourceFromAttributes({ 'service.name': NAME }),
  });
  const ids = new RandomIdGenerator();
  const start = performance.now();
  let [decisions, inARow, maxDecisionMs] = [0, 0, 0];
  let matchedAt;
  for (;;) {
    const now = performance.now() - start;
    if (matchedAt === undefined && now > seconds * 1000) break;
    if (matchedAt !== undefined && now > matchedAt + REPORT_WAIT_MS) return;
    const began = performance.now();
    const { decision } = sampler.shouldSample(
      ROOT_CONTEXT, ids.generateTraceId(), 'GET /cap', SpanKind.SERVER, ATTRIBUTES, [],
    );
    maxDecisionMs = Math.max(maxDecisionMs, performance.now() - began);
    decisions++;
    inARow = decision === SamplingDecision.RECORD_AND_SAMPLED ? inARow + 1 : 0;
    if (inARow === IN_A_ROW && matchedAt === undefined) {
      matchedAt = performance.now() - start;
      console.log(JSON.stringify({ rule, after_ms: Math.round(matchedAt), max_decision_ms: round(maxDecisionMs) }));
    }
    await sleep(DECISION_INTERVAL_MS);
  }
  console.log(JSON.stringify({ rule: null, rules_seen: [], decisions, max_decision_ms: round(maxDecisionMs) }));
}

function main([command, ...args]) {
  if (command === 'sample' && args.length === 2) return sample(args[0], Number(args[1]));
  throw new Error('usage: client.js sample RULE SECONDS');
}

// An explicit exit: no kept-alive connection may hold the process.
Promise.resolve(process.argv.slice(2)).then(main).then(
  () => process.exit(0),
  (error) => { console.error(error); process.exit(1); },
);
