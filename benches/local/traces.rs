//! Traces as a small shop sends them: one request of `api`, which asks `orders`, which asks `stock` and `payments`, and
//! `payments` asks `stock` again. Five segments of 1.3 KB, the parts of one a few datagrams apart, those that end first
//! before the others, as services send them. Calls of `DynamoDB`, a database and a bank are answered by nobody.
//!
//! A document follows from its number alone, so that no million of them has to be kept, and whoever asks for traces
//! knows what must come.

#![allow(dead_code, reason = "every bench takes the parts it needs")]

/// Segments of a trace.
pub(crate) const SEGMENTS: u64 = 5;

/// Bytes of a document.
pub(crate) const DOCUMENT_BYTES: usize = 1_300;

/// Different values of the annotation `tenant`: `t-0` and so on.
pub(crate) const TENANTS: u64 = 400;

/// One trace in so many has faults, in `payments`, `orders` and `api`.
const FAULT_EVERY: u64 = 50;

/// Traces whose segments are sent among each other.
const MIXED: u64 = 64;

/// Start and length of each segment and subsegment, in thousandths of the request.
const TIMES: [(u64, u64); 15] = [
    (0, 1000),
    (50, 900),
    (70, 860),
    (90, 60),
    (170, 180),
    (180, 150),
    (200, 100),
    (380, 500),
    (400, 460),
    (420, 200),
    (640, 200),
    (650, 170),
    (670, 120),
    (10, 30),
    (890, 30),
];

/// The segments, in the order they are sent. What stands between `<` and `>` is another in every trace:
/// the n-th id (`i`), start (`s`), end (`e`), number (`n`) and request id (`r`), with n as a hexadecimal digit.
const TEMPLATES: [&str; 5] = [
    // stock, asked by orders
    r#"{"name":"stock","id":"<i5>","parent_id":"<i4>","trace_id":"<trace>","start_time":<s5>,"end_time":<e5>,"origin":"AWS::ECS::Container","http":{"request":{"method":"POST","url":"http://stock.shop.internal/items/<n1>/reserve","user_agent":"okhttp/4.12.0","client_ip":"10.0.3.17"},"response":{"status":200,"content_length":<n2>}},"aws":{"account_id":"123456789012","ecs":{"container":"ip-10-0-3-17.ec2.internal"},"xray":{"sdk":"X-Ray for Go","sdk_version":"1.8.4"}},"service":{"runtime":"gc","runtime_version":"go1.24.1"},"subsegments":[{"name":"stock@db.shop.internal","id":"<i6>","start_time":<s6>,"end_time":<e6>,"namespace":"remote","sql":{"database_type":"PostgreSQL","user":"stock","url":"postgresql://db.shop.internal:5432/stock","sanitized_query":"UPDATE items SET reserved = reserved + $1 WHERE id = $2 AND free >= $1"}}],"metadata":{"default":{"note":"<note>"}}}"#,
    // stock, asked by payments
    r#"{"name":"stock","id":"<ib>","parent_id":"<ia>","trace_id":"<trace>","start_time":<sb>,"end_time":<eb>,"origin":"AWS::ECS::Container","http":{"request":{"method":"POST","url":"http://stock.shop.internal/items/<n1>/take","user_agent":"okhttp/4.12.0","client_ip":"10.0.3.29"},"response":{"status":200,"content_length":<n3>}},"aws":{"account_id":"123456789012","ecs":{"container":"ip-10-0-3-29.ec2.internal"},"xray":{"sdk":"X-Ray for Go","sdk_version":"1.8.4"}},"service":{"runtime":"gc","runtime_version":"go1.24.1"},"subsegments":[{"name":"stock@db.shop.internal","id":"<ic>","start_time":<sc>,"end_time":<ec>,"namespace":"remote","sql":{"database_type":"PostgreSQL","user":"stock","url":"postgresql://db.shop.internal:5432/stock","sanitized_query":"UPDATE items SET reserved = reserved - $1, left = left - $1 WHERE id = $2"}}],"metadata":{"default":{"note":"<note>"}}}"#,
    // payments
    r#"{"name":"payments","id":"<i8>","parent_id":"<i7>","trace_id":"<trace>","start_time":<s8>,"end_time":<e8>,"origin":"AWS::EC2::Instance",<fault>"http":{"request":{"method":"POST","url":"http://payments.shop.internal/charge","user_agent":"okhttp/4.12.0","client_ip":"10.0.5.4"},"response":{"status":<status>,"content_length":<n4>}},"aws":{"ec2":{"instance_id":"i-0b1c2d3e4f5a69788","availability_zone":"eu-central-1b"},"xray":{"sdk":"X-Ray for Java","sdk_version":"2.18.2"}},"subsegments":[{"name":"bank.example.com","id":"<i9>","start_time":<s9>,"end_time":<e9>,"namespace":"remote","http":{"request":{"method":"POST","url":"https://bank.example.com/v2/charges"},"response":{"status":200,"content_length":<n5>}}},{"name":"stock.shop.internal","id":"<ia>","start_time":<sa>,"end_time":<ea>,"namespace":"remote","http":{"request":{"method":"POST","url":"http://stock.shop.internal/items/<n1>/take"},"response":{"status":200}}}]<cause>,"metadata":{"default":{"note":"<note>"}}}"#,
    // orders
    r#"{"name":"orders","id":"<i2>","parent_id":"<i1>","trace_id":"<trace>","start_time":<s2>,"end_time":<e2>,"origin":"AWS::ECS::Container",<fault>"http":{"request":{"method":"POST","url":"http://orders.shop.internal/orders"},"response":{"status":<status>,"content_length":<n6>}},"annotations":{"tenant":"<tenant>","items":<n7>},"subsegments":[{"name":"DynamoDB","id":"<i3>","start_time":<s3>,"end_time":<e3>,"namespace":"aws","aws":{"operation":"PutItem","table_name":"orders","request_id":"<r0>"}},{"name":"stock.shop.internal","id":"<i4>","start_time":<s4>,"end_time":<e4>,"namespace":"remote","http":{"request":{"url":"http://stock.shop.internal/items/<n1>/reserve"},"response":{"status":200}}},{"name":"payments.shop.internal","id":"<i7>","start_time":<s7>,"end_time":<e7>,"namespace":"remote",<fault>"http":{"response":{"status":<status>}}},{"name":"confirm","id":"<ie>","start_time":<se>,"end_time":<ee>}],"metadata":{"default":{"note":"<note>"}}}"#,
    // api
    r#"{"name":"api","id":"<i0>","trace_id":"<trace>","start_time":<s0>,"end_time":<e0>,"origin":"AWS::ECS::Container",<fault>"http":{"request":{"method":"POST","url":"https://shop.example.com/orders?cart=<n8>","user_agent":"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0","client_ip":"198.51.100.7"},"response":{"status":<status>,"content_length":<n9>}},"aws":{"ecs":{"container":"ip-10-0-1-9.ec2.internal"},"xray":{"sdk":"X-Ray for Node.js","sdk_version":"3.10.3","package":"aws-xray-sdk"}},"service":{"version":"unknown","runtime":"node","runtime_version":"v22.14.0","name":"shop-api"},"user":"u-<n8>","annotations":{"tenant":"<tenant>","paid":true},"subsegments":[{"name":"validate","id":"<id>","start_time":<sd>,"end_time":<ed>},{"name":"orders.shop.internal","id":"<i1>","start_time":<s1>,"end_time":<e1>,"namespace":"remote",<fault>"http":{"request":{"method":"POST","url":"http://orders.shop.internal/orders"},"response":{"status":<status>,"content_length":<n6>}}}],"metadata":{"default":{"note":"<note>"}}}"#,
];

/// What `payments` says of a fault.
const CAUSE: &str = r#","cause":{"working_directory":"/srv/payments","exceptions":[{"id":"<if>","type":"com.example.shop.BankTimeout","message":"no answer within 250 ms"}]}"#;

/// A part of a template.
#[derive(Debug, Clone, Copy)]
enum Piece {
    Text(&'static str),
    Trace,
    Id(u64),
    Start(usize),
    End(usize),
    Number(u64),
    Request(u64),
    Tenant,
    Fault,
    Status,
    Cause,
    Note,
}

/// So many traces, spread evenly over a time that ends now.
pub(crate) struct Traces {
    count: u64,
    /// Microseconds since 1970.
    begin: u64,
    span: u64,
    /// Other traces for another seed.
    seed: u64,
    templates: Vec<Vec<Piece>>,
    cause: Vec<Piece>,
}

impl Traces {
    /// Traces of so many segments, rounded down. Times are in seconds, those since 1970.
    pub(crate) fn new(segments: u64, now: u64, span: u64, seed: u64) -> Self {
        Self {
            count: segments / SEGMENTS,
            begin: (now - span) * 1_000_000,
            span: span * 1_000_000,
            seed,
            templates: TEMPLATES.iter().map(|template| pieces(template)).collect(),
            cause: pieces(CAUSE),
        }
    }

    /// How many traces there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many documents there are.
    pub(crate) fn segments(&self) -> u64 {
        self.count * SEGMENTS
    }

    /// First second of the time they are spread over, and the one behind the last.
    pub(crate) fn seconds(&self) -> (u64, u64) {
        (self.begin / 1_000_000, (self.begin + self.span) / 1_000_000 + 1)
    }

    /// Traces of this tenant.
    pub(crate) fn of_tenant(&self, tenant: u64) -> u64 {
        (0..self.count).filter(|&trace| self.tenant(trace) == tenant).count() as u64
    }

    /// Traces with faults.
    pub(crate) fn faults(&self) -> u64 {
        (0..self.count).filter(|&trace| self.is_fault(trace)).count() as u64
    }

    /// The id of a trace.
    pub(crate) fn id(&self, trace: u64) -> String {
        let (high, low) = (self.draw(trace, 64), self.draw(trace, 65));
        format!("1-{:08x}-{:08x}{low:016x}", self.start(trace) / 1_000_000, high >> 32)
    }

    /// Appends a document: the number says its place in the order of sending.
    pub(crate) fn append(&self, number: u64, into: &mut Vec<u8>) {
        let group = number / (MIXED * SEGMENTS);
        let first = group * MIXED;
        let mixed = MIXED.min(self.count - first).max(1);
        let within = number - first * SEGMENTS;
        let (trace, segment) = (first + within % mixed, (within / mixed) % SEGMENTS);
        let drawn = Drawn {
            trace,
            segment,
            start: self.start(trace),
            micros: self.micros(trace),
            fault: self.is_fault(trace),
            begin: into.len(),
        };
        for piece in
            self.templates.iter().skip(usize::try_from(segment).unwrap_or_default()).take(1).flatten()
        {
            self.piece(*piece, &drawn, into);
        }
    }

    /// One document.
    pub(crate) fn document(&self, number: u64) -> Vec<u8> {
        let mut document = Vec::with_capacity(DOCUMENT_BYTES);
        self.append(number, &mut document);
        document
    }

    fn piece(&self, piece: Piece, drawn: &Drawn, into: &mut Vec<u8>) {
        let trace = drawn.trace;
        match piece {
            Piece::Text(text) => into.extend_from_slice(text.as_bytes()),
            Piece::Trace => into.extend_from_slice(self.id(trace).as_bytes()),
            Piece::Id(n) => hex(self.draw(trace, n), into),
            Piece::Start(n) => time(drawn.times(n).0, into),
            Piece::End(n) => time(drawn.times(n).1, into),
            Piece::Number(n) => decimal(self.draw(trace, 32 + n) % 1_000_000, into),
            Piece::Request(n) => self.request_id(trace, n, into),
            Piece::Tenant => {
                into.extend_from_slice(b"t-");
                decimal(self.tenant(trace), into);
            }
            Piece::Fault => into.extend_from_slice(if drawn.fault { b"\"fault\":true," } else { b"" }),
            Piece::Status => into.extend_from_slice(if drawn.fault { b"500" } else { b"200" }),
            Piece::Cause => {
                for piece in self.cause.iter().filter(|_| drawn.fault) {
                    self.piece(*piece, drawn, into);
                }
            }
            Piece::Note => self.note(trace * SEGMENTS + drawn.segment, drawn.begin, into),
        }
    }

    /// Fills a document up to its size, with what people log.
    fn note(&self, number: u64, begin: usize, into: &mut Vec<u8>) {
        let tail = "\"}}}".len();
        let end = (begin + DOCUMENT_BYTES).saturating_sub(tail).max(into.len());
        for turn in 0_u64.. {
            if into.len() >= end {
                break;
            }
            into.extend_from_slice(b"order ");
            decimal(self.draw(number, 96 + turn) % 10_000_000, into);
            into.extend_from_slice(b" accepted by shard ");
            decimal(self.draw(number, 128 + turn) % 64, into);
            into.extend_from_slice(b", stock reserved until the payment settles; ");
        }
        into.truncate(end);
    }

    fn request_id(&self, trace: u64, n: u64, into: &mut Vec<u8>) {
        for turn in 0..4 {
            let mut rest = self.draw(trace, 80 + 4 * n + turn);
            for _ in 0..13 {
                into.push(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[(rest & 31) as usize]);
                rest >>= 5;
            }
        }
    }

    /// Microseconds since 1970.
    fn start(&self, trace: u64) -> u64 {
        let even = u128::from(trace) * u128::from(self.span) / u128::from(self.count.max(1));
        self.begin + u64::try_from(even).unwrap_or_default() + self.draw(trace, 66) % 1_000
    }

    /// How long the request took.
    fn micros(&self, trace: u64) -> u64 {
        20_000 + self.draw(trace, 67) % 200_000
    }

    fn tenant(&self, trace: u64) -> u64 {
        self.draw(trace, 68) % TENANTS
    }

    fn is_fault(&self, trace: u64) -> bool {
        self.draw(trace, 69).is_multiple_of(FAULT_EVERY)
    }

    /// Chance, the same for the same numbers: `SplitMix64`.
    fn draw(&self, trace: u64, what: u64) -> u64 {
        let mut mixed = (self.seed << 40 | trace).wrapping_mul(256).wrapping_add(what);
        mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// What is drawn once for a document.
struct Drawn {
    trace: u64,
    segment: u64,
    /// Microseconds since 1970.
    start: u64,
    micros: u64,
    fault: bool,
    /// Where the document begins.
    begin: usize,
}

impl Drawn {
    fn times(&self, n: usize) -> (u64, u64) {
        let (from, length) = TIMES.get(n).copied().unwrap_or_default();
        let start = self.start + from * self.micros / 1000;
        (start, start + length * self.micros / 1000)
    }
}

fn pieces(template: &'static str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once('<') {
        let (slot, after) = after.split_once('>').expect("a slot ends");
        pieces.extend([Piece::Text(text), slot_of(slot)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn slot_of(slot: &str) -> Piece {
    match slot {
        "trace" => return Piece::Trace,
        "tenant" => return Piece::Tenant,
        "fault" => return Piece::Fault,
        "status" => return Piece::Status,
        "cause" => return Piece::Cause,
        "note" => return Piece::Note,
        _ => {}
    }
    let (kind, n) = slot.split_at(1);
    let n = u8::from_str_radix(n, 16).expect("a slot has a number");
    match kind {
        "i" => Piece::Id(n.into()),
        "s" => Piece::Start(n.into()),
        "e" => Piece::End(n.into()),
        "n" => Piece::Number(n.into()),
        _ => Piece::Request(n.into()),
    }
}

fn hex(number: u64, into: &mut Vec<u8>) {
    into.extend((0..16).rev().map(|digit| b"0123456789abcdef"[(number >> (4 * digit) & 15) as usize]));
}

fn decimal(number: u64, into: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let (mut at, mut rest) = (digits.len(), number);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

/// Seconds with six places.
fn time(micros: u64, into: &mut Vec<u8>) {
    decimal(micros / 1_000_000, into);
    let begin = into.len();
    decimal(1_000_000 + micros % 1_000_000, into);
    into[begin] = b'.';
}
