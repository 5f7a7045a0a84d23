//! From characters to tokens.

use super::{FilterError, Reason};

/// Longest expression that is read. X-Ray takes 2,000 characters in a group's filter and does not name a limit elsewhere.
const TEXT_MAX_BYTES: usize = 16 * 1024;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    /// A keyword, an operator in letters, or a text without quotes: letters, digits, and `.` `_` `-` `:` between them.
    Word(String),
    Text(String),
    Number(f64),
    /// `( ) { } [ ] , : ! = != < <= > >=`
    Sign(&'static str),
    /// `#` and the JSON behind it.
    Json(serde_json::Value),
    End,
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// First byte.
    pub(super) start: usize,
    /// Byte behind the last.
    pub(super) end: usize,
}

/// Longer ones first.
const SIGNS: [&str; 14] = ["!=", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", ":", "!", "=", "<"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(error_at(text, TEXT_MAX_BYTES, Reason::TooLarge("the expression is too long")));
    }
    let mut tokens = Vec::new();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let (kind, length) = token(&text[at..]).map_err(|length| symbol(text, at, length))?;
        let end = kind == Kind::End;
        tokens.push(Token { kind, start: at, end: at + length });
        if end {
            return Ok(tokens);
        }
        at += length;
    }
}

/// The token a text begins with, and its length in bytes. An error is the length of what is none.
fn token(rest: &str) -> Result<(Kind, usize), usize> {
    let Some(first) = rest.chars().next() else { return Ok((Kind::End, 0)) };
    if first == '"' {
        return string(rest);
    }
    if first == '#' {
        return json(rest);
    }
    if first.is_ascii_digit()
        || (matches!(first, '-' | '+' | '.')
            && rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.'))
    {
        return number(rest);
    }
    if first.is_alphabetic() || first == '_' {
        let length = word_length(rest);
        return Ok((Kind::Word(rest[..length].to_owned()), length));
    }
    let signs = SIGNS.into_iter().chain([">"]);
    let sign = signs.into_iter().find(|sign| rest.starts_with(sign));
    sign.map(|sign| (Kind::Sign(sign), sign.len())).ok_or(first.len_utf8())
}

fn word_length(rest: &str) -> usize {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut length = 0;
    let mut characters = rest.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        // Between two others: `annotation.a-b`, and never the colon of `name: "x"`.
        let joins =
            matches!(character, '.' | '-') && characters.peek().is_some_and(|(_, next)| inside(*next));
        if !inside(character) && !joins {
            break;
        }
        length = at + character.len_utf8();
    }
    length
}

fn string(rest: &str) -> Result<(Kind, usize), usize> {
    let mut escaped = false;
    let end = rest[1..].find(|character: char| {
        let closes = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        closes
    });
    let length = end.ok_or(rest.len())? + 2;
    let text = serde_json::from_str(&rest[..length]).map_err(|_| length)?;
    Ok((Kind::Text(text), length))
}

fn number(rest: &str) -> Result<(Kind, usize), usize> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    let length = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let parsed = rest[..length].parse::<f64>().ok().filter(|number| number.is_finite());
    parsed.map(|number| (Kind::Number(number), length)).ok_or(length)
}

fn json(rest: &str) -> Result<(Kind, usize), usize> {
    let mut values = serde_json::Deserializer::from_str(&rest[1..]).into_iter::<serde_json::Value>();
    match values.next() {
        Some(Ok(value)) => Ok((Kind::Json(value), 1 + values.byte_offset())),
        _ => Err(1),
    }
}

/// `length` bytes at `at` do not belong there.
pub(super) fn symbol(text: &str, at: usize, length: usize) -> FilterError {
    error_at(text, at, Reason::Symbol(text[at..at + length].to_owned()))
}

/// Lines and positions are counted from 1, positions in characters.
pub(super) fn error_at(text: &str, at: usize, reason: Reason) -> FilterError {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let position = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    FilterError { line, position, reason }
}
