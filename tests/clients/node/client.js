// A real aws-xray-sdk-core program. `client.js emit N` | `client.js sample RULE SECONDS`; see ../README.md.
'use strict';

const AWSXRay = require('aws-xray-sdk-core');

const NAME = 'cap-node';
const TEXT = 'zażółć 東京 🚀 "quoted" back\\slash <a&b> tab\t newline\n bell\x07 nul\x00 line\u2028separator';
const DECISION_INTERVAL_MS = 100;
// Targets are reported every 10 s, counted from the first decision.
const REPORT_WAIT_MS = 13_000;
// The SDK streams subsegments while a segment has more than 100 of them open.
const STREAMED_SUBSEGMENTS = 110;
const SEND_WAIT_MS = 10_000;

const round = (ms) => Math.round(ms * 1000) / 1000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function annotated(segment) {
  segment.setUser('użytkownik');
  const values = { text: 'plain', whole: 42, float: 2.5, yes: true };
  for (const [key, value] of Object.entries(values)) segment.addAnnotation(key, value);
}

function text(segment) {
  segment.addAnnotation('city', '東京');
  segment.addMetadata('text', TEXT);
  segment.addMetadata('deep', { list: [1, null, { a: [TEXT] }], empty: {} }, NAME);
}

function nested(segment) {
  const outer = segment.addNewSubsegment('outer');
  outer.addAnnotation('level', 1);
  const s3 = outer.addNewSubsegment('S3');
  s3.namespace = 'aws';
  s3.addAttribute('aws', { operation: 'GetObject', region: 'us-east-1', bucket_name: 'bucket' });
  const remote = s3.addNewSubsegment('api.example.com');
  remote.namespace = 'remote';
  remote.addAttribute('http', {
    request: { method: 'GET', url: 'https://api.example.com/cap' },
    response: { status: 404 },
  });
  remote.addErrorFlag();
  remote.close();
  s3.close();
  const database = outer.addNewSubsegment('db.example.com');
  database.namespace = 'remote';
  database.addSqlData({ sanitized_query: 'SELECT ?', database_type: 'PostgreSQL' });
  database.close();
  outer.close();
}

function failed(segment) {
  segment.addNewSubsegment('failing').close(new TypeError(TEXT));
  segment.addFaultFlag();
}

function http(segment) {
  segment.http = {
    request: { method: 'GET', url: 'http://example.com/cap?q=1', user_agent: 'client.js', client_ip: '203.0.113.7' },
    response: { status: 429 },
  };
  segment.addErrorFlag();
  segment.addThrottleFlag();
}

function big(segment) {
  segment.addMetadata('big', 'x'.repeat(50_000));
}

function streamed(segment) {
  const children = [];
  for (let step = 0; step < STREAMED_SUBSEGMENTS; step++) children.push(segment.addNewSubsegment(`step-${step}`));
  for (const child of children) child.close();
}

const SMALL = [() => {}, annotated, text, nested, failed, http];
// Segments 6 and 7 are the large and the streamed one, once each; the others go round the small shapes.
const shape = (number) => ({ 6: big, 7: streamed })[number] ?? SMALL[number % SMALL.length];

// Sending is asynchronous and only the SDK's log tells when a datagram has left.
function countSentSegments() {
  const seen = { segments: 0, errors: 0 };
  AWSXRay.setLogger({
    debug: (message) => { if (message.startsWith('Segment sent:')) seen.segments++; },
    info: () => {},
    warn: console.error,
    error: (...message) => { seen.errors++; console.error(...message); },
  });
  return seen;
}

async function emit(count) {
  const seen = countSentSegments();
  for (let number = 0; number < count; number++) {
    const segment = new AWSXRay.Segment(NAME);
    segment.addAnnotation('number', number);
    shape(number)(segment);
    segment.close();
    await sleep(1); // the receiver's buffer is not what is tested
  }
  const deadline = performance.now() + SEND_WAIT_MS;
  while (seen.segments + seen.errors < count && performance.now() < deadline) await sleep(5);
  if (seen.segments !== count || seen.errors) throw new Error(`sent ${seen.segments} of ${count} segments`);
  console.log(JSON.stringify({ emitted: count }));
}

// One request as the SDK's middlewares treat it. Returns the rule's name, if any, and the decision's time.
function decide() {
  const segment = new AWSXRay.Segment(NAME);
  const response = { req: { headers: { host: 'example.com' }, method: 'GET', url: '/cap' } };
  const began = performance.now();
  AWSXRay.middleware.resolveSampling({}, segment, response);
  const tookMs = performance.now() - began;
  const rule = segment.notTraced ? undefined : segment.aws.xray.rule_name;
  segment.close();
  return { rule, tookMs };
}

async function sample(wanted, seconds) {
  const start = performance.now();
  const rulesSeen = new Set();
  let decisions = 0;
  let maxDecisionMs = 0;
  let matchedAt;
  for (;;) {
    const now = performance.now() - start;
    if (matchedAt === undefined && now > seconds * 1000) break;
    if (matchedAt !== undefined && now > matchedAt + REPORT_WAIT_MS) return;
    const { rule, tookMs } = decide();
    decisions++;
    maxDecisionMs = Math.max(maxDecisionMs, tookMs);
    if (rule !== undefined) rulesSeen.add(rule);
    if (rule === wanted && matchedAt === undefined) {
      matchedAt = performance.now() - start;
      console.log(JSON.stringify({ rule, after_ms: Math.round(matchedAt), max_decision_ms: round(maxDecisionMs) }));
    }
    await sleep(DECISION_INTERVAL_MS);
  }
  const rules = [...rulesSeen].sort();
  console.log(JSON.stringify({ rule: null, rules_seen: rules, decisions, max_decision_ms: round(maxDecisionMs) }));
}

function main([command, ...args]) {
  if (command === 'emit' && args.length === 1) return emit(Number(args[0]));
  if (command === 'sample' && args.length === 2) return sample(args[0], Number(args[1]));
  throw new Error('usage: client.js emit N | client.js sample RULE SECONDS');
}

// An explicit exit: neither the SDK's pollers nor a kept-alive connection may hold the process.
Promise.resolve(process.argv.slice(2)).then(main).then(
  () => process.exit(0),
  (error) => { console.error(error); process.exit(1); },
);
