//! From tokens to an expression. OR binds least, then AND (written or not), then NOT.

use super::lexer::{Kind, Token, error_at, symbol, tokens};
use super::{
    Cause, CauseElement, Condition, Expression, FilterError, Flag, GroupBy, Measure, Operator, Reason,
    Selector, Side, Test, Text, Value,
};

/// Deepest nesting of parentheses, braces and NOTs. Reading and evaluating go down as deep as the expression does.
const DEPTH_MAX: usize = 64;

pub(super) fn parse(text: &str) -> Result<Expression, FilterError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, scope: Scope::Trace };
    let expression = parser.expression()?;
    match parser.peek() {
        Kind::End => Ok(expression),
        _ => Err(parser.unexpected()),
    }
}

/// A single service or edge, without braces and without empty parentheses; the second selector is that of an edge.
pub(super) fn parse_entity(text: &str) -> Result<(Selector, Option<Selector>), FilterError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens, at: 0, depth: 0, scope: Scope::Trace };
    let is_edge = match parser.keyword() {
        Some(Keyword::Service) => false,
        Some(Keyword::Edge) => true,
        _ => return Err(parser.unexpected()),
    };
    parser.pass();
    let entity = if is_edge {
        let (from, to) = parser.selectors_of_edge()?;
        (from, Some(to))
    } else {
        parser.expect("(")?;
        (parser.selector_until_closed(false)?, None)
    };
    match parser.peek() {
        Kind::End => Ok(entity),
        _ => Err(parser.unexpected()),
    }
}

/// Where an expression stands: it decides which words have a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Trace,
    Service,
    Edge,
    Cause(Cause, CauseElement),
}

/// What a word says, if it is one of the language.
enum Keyword {
    Flag(Flag),
    Measure(Measure),
    Text(Text),
    Group(GroupBy),
    RootCause(Cause, CauseElement),
    RootCauseJson(Option<Cause>),
    Annotation(Side, Option<String>),
    Service,
    Edge,
    And,
    Or,
    Not,
}

/// All words, to find how much of another word could have been one.
const WORDS: [&str; 45] = [
    "ok",
    "error",
    "throttle",
    "fault",
    "partial",
    "inferred",
    "root",
    "first",
    "last",
    "remote",
    "responsetime",
    "duration",
    "http.status",
    "index",
    "coverage",
    "http.url",
    "http.method",
    "http.useragent",
    "http.clientip",
    "user",
    "availabilityzone",
    "instance.id",
    "resource.arn",
    "name",
    "type",
    "account.id",
    "message",
    "group.name",
    "group.arn",
    "rootcause.fault.service",
    "rootcause.error.entity",
    "rootcause.responsetime.service",
    "rootcause.json",
    "annotation",
    "source.annotation",
    "destination.annotation",
    "service",
    "edge",
    "id",
    "and",
    "or",
    "not",
    "contains",
    "beginswith",
    "endswith",
];

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    scope: Scope,
}

impl Parser<'_> {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    /// The last token is the end, which is never passed.
    fn pass(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len() - 1);
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Kind::Sign(found) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        if found {
            self.pass();
        }
        found
    }

    fn keyword(&self) -> Option<Keyword> {
        match self.peek() {
            Kind::Word(word) => keyword(word),
            _ => None,
        }
    }

    /// The present token does not belong here. At the end, what is wrong is the whole expression.
    fn unexpected(&self) -> FilterError {
        let Token { kind, start, end } = &self.tokens[self.at];
        match kind {
            Kind::End => error_at(self.text, *start, Reason::Symbol(self.text.to_owned())),
            Kind::Word(word) if keyword(word).is_none() => {
                symbol(self.text, *start, could_have_been(word).min(end - start))
            }
            _ => symbol(self.text, *start, end - start),
        }
    }

    fn expect(&mut self, sign: &str) -> Result<(), FilterError> {
        if self.take(sign) {
            return Ok(());
        }
        match (self.peek(), sign) {
            (Kind::End, ")") => Err(self.at_the_end(Reason::MissingParenthesis)),
            (Kind::End, "}") => Err(self.at_the_end(Reason::MissingBrace)),
            _ => Err(self.unexpected()),
        }
    }

    fn at_the_end(&self, reason: Reason) -> FilterError {
        error_at(self.text, self.text.len(), reason)
    }

    fn deeper<T>(
        &mut self,
        parse: impl FnOnce(&mut Self) -> Result<T, FilterError>,
    ) -> Result<T, FilterError> {
        if self.depth == DEPTH_MAX {
            let start = self.tokens[self.at].start;
            return Err(error_at(self.text, start, Reason::TooLarge("the expression is nested too deeply")));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn expression(&mut self) -> Result<Expression, FilterError> {
        let mut alternatives = vec![self.conjunction()?];
        while matches!(self.keyword(), Some(Keyword::Or)) {
            self.pass();
            alternatives.push(self.conjunction()?);
        }
        Ok(only_or(alternatives, Expression::Or))
    }

    fn conjunction(&mut self) -> Result<Expression, FilterError> {
        let mut conditions = vec![self.unary()?];
        loop {
            match (self.peek(), self.keyword()) {
                (_, Some(Keyword::And)) => self.pass(),
                (_, Some(Keyword::Or)) | (Kind::End | Kind::Sign(")" | "}"), _) => break,
                // Side by side means AND.
                _ => {}
            }
            conditions.push(self.unary()?);
        }
        Ok(only_or(conditions, Expression::And))
    }

    fn unary(&mut self) -> Result<Expression, FilterError> {
        if self.is("!") || matches!(self.keyword(), Some(Keyword::Not)) {
            self.pass();
            let inner = self.deeper(Self::unary)?;
            return Ok(Expression::Not(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.deeper(Self::expression)?;
            self.expect(")")?;
            return Ok(inner);
        }
        self.condition().map(Expression::Condition)
    }

    fn condition(&mut self) -> Result<Condition, FilterError> {
        let keyword = self.keyword().filter(|keyword| has_meaning(keyword, self.scope));
        let Some(keyword) = keyword else { return Err(self.unexpected()) };
        let start = self.at;
        self.pass();
        Ok(match keyword {
            Keyword::Flag(flag) => Condition::Flag(flag, self.test()?),
            Keyword::Text(text) => Condition::Text(text, self.test()?),
            Keyword::Annotation(side, key) => {
                let key = match key {
                    Some(key) => key,
                    None => self.bracketed_key()?,
                };
                Condition::Annotation(side, key, self.test()?)
            }
            Keyword::Measure(measure) => Condition::Measure(measure, self.comparison()?),
            Keyword::Group(by) => Condition::Group(by, self.comparison()?),
            Keyword::Service => {
                let selector =
                    if self.take("(") { self.selector_until_closed(true)? } else { Selector::default() };
                Condition::Service(selector, self.braces(Scope::Service)?)
            }
            Keyword::Edge => {
                let (from, to) = self.selectors_of_edge()?;
                Condition::Edge(from, to, self.braces(Scope::Edge)?)
            }
            Keyword::RootCause(cause, element) => {
                let inner = self.braces(Scope::Cause(cause, element))?;
                let Some(inner) = inner else { return Err(self.unexpected()) };
                Condition::RootCause(cause, element, inner)
            }
            Keyword::RootCauseJson(cause) => {
                self.expect("=")?;
                let Kind::Json(shape) = self.peek() else { return Err(self.unexpected()) };
                let shape = shape.clone();
                self.pass();
                Condition::RootCauseJson(cause, shape)
            }
            Keyword::And | Keyword::Or | Keyword::Not => {
                self.at = start;
                return Err(self.unexpected());
            }
        })
    }

    fn braces(&mut self, scope: Scope) -> Result<Option<Box<Expression>>, FilterError> {
        if !self.take("{") {
            return Ok(None);
        }
        let around = std::mem::replace(&mut self.scope, scope);
        let inner = self.deeper(Self::expression)?;
        self.scope = around;
        self.expect("}")?;
        Ok(Some(Box::new(inner)))
    }

    /// Behind `service(`. Nothing at all means every service.
    fn selector_until_closed(&mut self, may_be_empty: bool) -> Result<Selector, FilterError> {
        if may_be_empty && self.take(")") {
            return Ok(Selector::default());
        }
        let selector = self.selector()?;
        self.expect(")")?;
        Ok(selector)
    }

    /// Behind `edge`.
    fn selectors_of_edge(&mut self) -> Result<(Selector, Selector), FilterError> {
        self.expect("(")?;
        let from = self.selector()?;
        self.expect(",")?;
        let to = self.selector()?;
        self.expect(")")?;
        Ok((from, to))
    }

    /// `"name"`, or `id(name: "n", type: "t", account.id: "a")`.
    fn selector(&mut self) -> Result<Selector, FilterError> {
        if let Kind::Text(name) = self.peek() {
            let name = Some(name.clone());
            self.pass();
            return Ok(Selector { name, ..Selector::default() });
        }
        if !matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case("id")) {
            return Err(self.unexpected());
        }
        self.pass();
        self.expect("(")?;
        let mut selector = Selector::default();
        loop {
            let field = match self.keyword() {
                Some(Keyword::Text(Text::Name)) => &mut selector.name,
                Some(Keyword::Text(Text::Type)) => &mut selector.r#type,
                Some(Keyword::Text(Text::AccountId)) => &mut selector.account_id,
                _ => return Err(self.unexpected()),
            };
            if field.is_some() {
                return Err(self.unexpected());
            }
            self.pass();
            self.expect(":")?;
            let Kind::Text(value) = self.peek() else { return Err(self.unexpected()) };
            *field = Some(value.clone());
            self.pass();
            if !self.take(",") {
                self.expect(")")?;
                return Ok(selector);
            }
        }
    }

    /// `[key]`, `[a.dotted.key]` or `["any key"]`.
    fn bracketed_key(&mut self) -> Result<String, FilterError> {
        self.expect("[")?;
        let (Kind::Word(key) | Kind::Text(key)) = self.peek() else { return Err(self.unexpected()) };
        let key = key.clone();
        self.pass();
        self.expect("]")?;
        Ok(key)
    }

    /// An operator with a value, or nothing.
    fn test(&mut self) -> Result<Test, FilterError> {
        let Some(operator) = self.operator() else { return Ok(Test::Is) };
        self.pass();
        Ok(Test::Compare(operator, self.value()?))
    }

    /// An operator with a value.
    fn comparison(&mut self) -> Result<Test, FilterError> {
        match self.test()? {
            Test::Is => Err(self.unexpected()),
            comparison @ Test::Compare(..) => Ok(comparison),
        }
    }

    fn operator(&self) -> Option<Operator> {
        Some(match self.peek() {
            Kind::Sign("=") => Operator::Equal,
            Kind::Sign("!=") => Operator::NotEqual,
            Kind::Sign("<") => Operator::Less,
            Kind::Sign("<=") => Operator::LessOrEqual,
            Kind::Sign(">") => Operator::Greater,
            Kind::Sign(">=") => Operator::GreaterOrEqual,
            Kind::Word(word) if word.eq_ignore_ascii_case("contains") => Operator::Contains,
            Kind::Word(word) if word.eq_ignore_ascii_case("beginswith") => Operator::BeginsWith,
            Kind::Word(word) if word.eq_ignore_ascii_case("endswith") => Operator::EndsWith,
            _ => return None,
        })
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        let value = match self.peek() {
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Number(number) => Value::Number(*number),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Value::Bool(true),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Value::Bool(false),
            // The guide writes `name = traces` once.
            Kind::Word(word) if keyword(word).is_none() => Value::Text(word.clone()),
            _ => return Err(self.unexpected()),
        };
        self.pass();
        Ok(value)
    }
}

/// One expression stands for itself.
fn only_or(mut expressions: Vec<Expression>, more: impl FnOnce(Vec<Expression>) -> Expression) -> Expression {
    match expressions.pop() {
        Some(only) if expressions.is_empty() => only,
        last => {
            expressions.extend(last);
            more(expressions)
        }
    }
}

fn keyword(word: &str) -> Option<Keyword> {
    let lower = word.to_ascii_lowercase();
    Some(match lower.as_str() {
        "ok" => Keyword::Flag(Flag::Ok),
        "error" => Keyword::Flag(Flag::Error),
        "throttle" => Keyword::Flag(Flag::Throttle),
        "fault" => Keyword::Flag(Flag::Fault),
        "partial" => Keyword::Flag(Flag::Partial),
        "inferred" => Keyword::Flag(Flag::Inferred),
        "root" => Keyword::Flag(Flag::Root),
        "first" => Keyword::Flag(Flag::First),
        "last" => Keyword::Flag(Flag::Last),
        "remote" => Keyword::Flag(Flag::Remote),
        "responsetime" => Keyword::Measure(Measure::ResponseTime),
        "duration" => Keyword::Measure(Measure::Duration),
        "http.status" => Keyword::Measure(Measure::HttpStatus),
        "index" => Keyword::Measure(Measure::Index),
        "coverage" => Keyword::Measure(Measure::Coverage),
        "http.url" => Keyword::Text(Text::HttpUrl),
        "http.method" => Keyword::Text(Text::HttpMethod),
        "http.useragent" => Keyword::Text(Text::HttpUserAgent),
        "http.clientip" => Keyword::Text(Text::HttpClientIp),
        "user" => Keyword::Text(Text::User),
        "availabilityzone" => Keyword::Text(Text::AvailabilityZone),
        "instance.id" => Keyword::Text(Text::InstanceId),
        "resource.arn" => Keyword::Text(Text::ResourceArn),
        "name" => Keyword::Text(Text::Name),
        "type" => Keyword::Text(Text::Type),
        "account.id" => Keyword::Text(Text::AccountId),
        "message" => Keyword::Text(Text::Message),
        "group.name" => Keyword::Group(GroupBy::Name),
        "group.arn" => Keyword::Group(GroupBy::Arn),
        "annotation" => Keyword::Annotation(Side::Any, None),
        "source.annotation" => Keyword::Annotation(Side::Source, None),
        "destination.annotation" => Keyword::Annotation(Side::Destination, None),
        "service" => Keyword::Service,
        "edge" => Keyword::Edge,
        "and" => Keyword::And,
        "or" => Keyword::Or,
        "not" => Keyword::Not,
        _ => return annotation(word, &lower).or_else(|| root_cause(&lower)),
    })
}

/// Keys are the user's, and keep their case.
fn annotation(word: &str, lower: &str) -> Option<Keyword> {
    let sides = [
        ("annotation.", Side::Any),
        ("source.annotation.", Side::Source),
        ("destination.annotation.", Side::Destination),
    ];
    let (begin, side) = sides.into_iter().find(|(begin, _)| lower.starts_with(begin))?;
    let key = word.get(begin.len()..)?;
    Some(Keyword::Annotation(side, Some(key.to_owned())))
}

fn root_cause(lower: &str) -> Option<Keyword> {
    let rest = lower.strip_prefix("rootcause.")?;
    if rest == "json" {
        return Some(Keyword::RootCauseJson(None));
    }
    let (cause, element) = rest.split_once('.')?;
    let cause = match cause {
        "fault" => Cause::Fault,
        "error" => Cause::Error,
        "responsetime" => Cause::ResponseTime,
        _ => return None,
    };
    Some(match (element, cause) {
        ("json", _) => Keyword::RootCauseJson(Some(cause)),
        ("service", _) => Keyword::RootCause(cause, CauseElement::Service),
        ("entity", _) => Keyword::RootCause(cause, CauseElement::Entity),
        // What is only slow has thrown nothing.
        ("exception", Cause::Fault | Cause::Error) => Keyword::RootCause(cause, CauseElement::Exception),
        _ => return None,
    })
}

/// Whether a word says something where it stands; a name of a trace, for example, does not.
fn has_meaning(keyword: &Keyword, scope: Scope) -> bool {
    let in_cause = matches!(scope, Scope::Cause(..));
    match keyword {
        Keyword::Flag(Flag::First | Flag::Last) | Keyword::Measure(Measure::Index) => in_cause,
        Keyword::Flag(Flag::Remote) => matches!(scope, Scope::Cause(_, CauseElement::Entity)),
        Keyword::Measure(Measure::Coverage) => {
            scope == Scope::Cause(Cause::ResponseTime, CauseElement::Entity)
        }
        Keyword::Flag(Flag::Inferred) => {
            matches!(scope, Scope::Trace | Scope::Service | Scope::Cause(_, CauseElement::Service))
        }
        Keyword::Flag(Flag::Root) => scope == Scope::Service,
        Keyword::Text(Text::Name) => in_cause || scope == Scope::Service,
        Keyword::Text(Text::Type | Text::AccountId) => {
            matches!(scope, Scope::Service | Scope::Cause(_, CauseElement::Service))
        }
        Keyword::Text(Text::Message) => matches!(scope, Scope::Cause(_, CauseElement::Exception)),
        Keyword::Annotation(Side::Source | Side::Destination, _) => scope == Scope::Edge,
        Keyword::Flag(Flag::Partial)
        | Keyword::Service
        | Keyword::Edge
        | Keyword::Group(_)
        | Keyword::RootCause(..)
        | Keyword::RootCauseJson(_) => scope == Scope::Trace,
        Keyword::Annotation(Side::Any, _) | Keyword::Flag(_) | Keyword::Measure(_) | Keyword::Text(_) => {
            !in_cause
        }
        Keyword::And | Keyword::Or | Keyword::Not => false,
    }
}

/// How many bytes of a word were read until it could not become a word of the language any more: what X-Ray quotes.
fn could_have_been(word: &str) -> usize {
    let shared = |known: &str| {
        let same = known.chars().zip(word.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        word.char_indices().nth(same).map_or(word.len(), |(at, next)| at + next.len_utf8())
    };
    WORDS.into_iter().map(shared).max().unwrap_or(word.len())
}
