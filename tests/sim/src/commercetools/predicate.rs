//! Query predicates (`where`): a parser of the part of the language that queries by id, date and plain fields
//! use, and its evaluation.
//! <https://docs.commercetools.com/api/predicates/query>

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// What a predicate can ask of a record.
pub(super) trait Fields {
    /// The value of the top-level field `name`; none where the record has none.
    fn field(&self, name: &str) -> Option<Value>;
}

/// A parsed predicate.
#[derive(Debug, PartialEq)]
pub(super) enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare(String, Operator, Value),
    In(String, Vec<Value>),
    Defined(String),
    Nested(String, Box<Predicate>),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Which ids can fulfil a predicate, so that a query does not look at every record.
#[derive(Debug, Default, PartialEq)]
pub(super) struct IdBounds {
    /// Not below this text.
    pub(super) from: Option<String>,
    /// Not above this text.
    pub(super) until: Option<String>,
    /// One of these.
    pub(super) among: Option<BTreeSet<Uuid>>,
}

/// The values of predicate variables: `var.<name>=` parameters, possibly repeated.
pub(super) type Variables = BTreeMap<String, Vec<String>>;

impl Predicate {
    /// Parses `text`, whose fields must be among `known`.
    ///
    /// # Errors
    /// What is malformed, in the words of an answer 400.
    pub(super) fn parse(text: &str, variables: &Variables, known: &[&str]) -> Result<Self, String> {
        let tokens = tokens(text)?;
        let mut parser = Parser {
            tokens: &tokens,
            at: 0,
            variables,
            known,
            depth: 0,
        };
        let predicate = parser.either()?;
        match parser.peek() {
            None => Ok(predicate),
            Some(token) => Err(format!("unexpected {token:?} after the end")),
        }
    }

    pub(super) fn holds(&self, record: &dyn Fields) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Not(part) => !part.holds(record),
            Self::Compare(field, operator, value) => record
                .field(field)
                .is_some_and(|found| operator.holds(compare(&found, value))),
            Self::In(field, values) => record
                .field(field)
                .is_some_and(|found| values.contains(&found)),
            Self::Defined(field) => record.field(field).is_some_and(|found| !found.is_null()),
            Self::Nested(field, inner) => record.field(field).is_some_and(|found| match found {
                Value::Array(elements) => elements.iter().any(|element| inner.holds(element)),
                other => inner.holds(&other),
            }),
        }
    }

    /// The skus or product ids of which a record must have one, where the predicate asks for that.
    pub(super) fn owners(&self) -> Option<BTreeSet<String>> {
        let texts = |values: &[Value]| {
            let texts = values.iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        match self {
            Self::In(field, values) if field == "sku" => Some(texts(values)),
            Self::Nested(field, inner) if field == "product" => match &**inner {
                Self::In(field, values) if field == "id" => Some(texts(values)),
                _ => None,
            },
            Self::And(parts) => parts.iter().find_map(Self::owners),
            _ => None,
        }
    }

    /// Bounds of the ids that can fulfil the predicate; a record within them still has to be asked.
    pub(super) fn id_bounds(&self) -> IdBounds {
        use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let mut bounds = IdBounds::default();
        match self {
            Self::Compare(field, operator, Value::String(value)) if field == "id" => {
                if matches!(operator, Equal | Greater | GreaterOrEqual) {
                    bounds.from = Some(value.clone());
                }
                if matches!(operator, Equal | Less | LessOrEqual) {
                    bounds.until = Some(value.clone());
                }
            }
            Self::In(field, values) if field == "id" => {
                let ids = values
                    .iter()
                    .filter_map(|value| value.as_str()?.parse().ok());
                bounds.among = Some(ids.collect());
            }
            Self::And(parts) => {
                for part in parts {
                    bounds.narrow(part.id_bounds());
                }
            }
            _ => {}
        }
        bounds
    }
}

impl IdBounds {
    fn narrow(&mut self, other: Self) {
        if other.from > self.from {
            self.from = other.from;
        }
        if let Some(until) = other.until
            && self.until.as_ref().is_none_or(|own| until < *own)
        {
            self.until = Some(until);
        }
        match (&mut self.among, other.among) {
            (Some(own), Some(other)) => own.retain(|id| other.contains(id)),
            (own @ None, other) => *own = other,
            (Some(_), None) => {}
        }
    }
}

impl Operator {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::Unequal => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::LessOrEqual => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// Moments compare as moments, however many digits they are written with; other texts byte by byte.
fn compare(found: &Value, asked: &Value) -> Option<Ordering> {
    match (found, asked) {
        (Value::String(found), Value::String(asked)) => {
            let moments = || Some((found.parse::<Timestamp>().ok()?, asked.parse().ok()?));
            Some(match moments() {
                Some((found, asked)) => found.cmp(&asked),
                None => found.cmp(asked),
            })
        }
        (Value::Number(found), Value::Number(asked)) => {
            found.as_f64()?.partial_cmp(&asked.as_f64()?)
        }
        (Value::Bool(found), Value::Bool(asked)) => Some(found.cmp(asked)),
        _ => None,
    }
}

impl Fields for Value {
    fn field(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Number(String),
    Variable(String),
    Sign(&'static str),
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
        } else if first == '"' {
            let (literal, after) = literal(&rest[1..])?;
            tokens.push(Token::Text(literal));
            rest = after;
        } else if let Some(sign) = ["<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ","]
            .into_iter()
            .find(|sign| rest.starts_with(sign))
        {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            tokens.push(match (word.strip_prefix(':'), first) {
                (Some(name), _) if !name.is_empty() => Token::Variable(name.to_owned()),
                (None, 'a'..='z' | 'A'..='Z') => Token::Word(word.to_owned()),
                (None, '0'..='9' | '-') => Token::Number(word.to_owned()),
                _ => return Err(format!("unexpected character '{first}'")),
            });
        }
    }
    Ok(tokens)
}

/// The string literal that `text` begins with, without its opening quote, and what comes after it.
fn literal(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err("unknown escape in a string".to_owned()),
            },
            c => value.push(c),
        }
    }
    Err("a string without its end".to_owned())
}

/// How deep parentheses may go.
const DEEPEST: u32 = 50;

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    variables: &'a Variables,
    known: &'a [&'a str],
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Result<Token, String> {
        let token = self.peek().cloned().ok_or("unexpected end")?;
        self.at += 1;
        Ok(token)
    }

    fn takes_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(found)) if found == word);
        self.at += usize::from(found);
        found
    }

    fn takes_sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(found);
        found
    }

    fn must_sign(&mut self, sign: &str) -> Result<(), String> {
        if self.takes_sign(sign) {
            Ok(())
        } else {
            Err(format!("expected '{sign}', found {:?}", self.peek()))
        }
    }

    fn either(&mut self) -> Result<Predicate, String> {
        let mut parts = vec![self.both()?];
        while self.takes_word("or") {
            parts.push(self.both()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Predicate::Or(parts)
        })
    }

    fn both(&mut self) -> Result<Predicate, String> {
        let mut parts = vec![self.one()?];
        while self.takes_word("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Predicate::And(parts)
        })
    }

    fn enclosed(&mut self) -> Result<Predicate, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("too many parentheses".to_owned());
        }
        let predicate = self.either()?;
        self.must_sign(")")?;
        self.depth -= 1;
        Ok(predicate)
    }

    fn one(&mut self) -> Result<Predicate, String> {
        if self.takes_sign("(") {
            return self.enclosed();
        }
        let field = match self.next()? {
            Token::Word(word) => word,
            other => return Err(format!("expected a field, found {other:?}")),
        };
        if field == "not" {
            self.must_sign("(")?;
            return Ok(Predicate::Not(Box::new(self.enclosed()?)));
        }
        if !self.known.contains(&field.as_str()) && self.depth == 0 {
            return Err(format!("the field '{field}' does not exist"));
        }
        if self.takes_sign("(") {
            return Ok(Predicate::Nested(field, Box::new(self.enclosed()?)));
        }
        if self.takes_word("is") {
            let negated = self.takes_word("not");
            if !self.takes_word("defined") {
                return Err("expected 'defined'".to_owned());
            }
            return Ok(negate(negated, Predicate::Defined(field)));
        }
        let negated = self.takes_word("not");
        if self.takes_word("in") {
            return Ok(negate(negated, Predicate::In(field, self.list()?)));
        }
        let operator = match self.next()? {
            Token::Sign("=") => Operator::Equal,
            Token::Sign("!=" | "<>") => Operator::Unequal,
            Token::Sign("<") => Operator::Less,
            Token::Sign("<=") => Operator::LessOrEqual,
            Token::Sign(">") => Operator::Greater,
            Token::Sign(">=") => Operator::GreaterOrEqual,
            other => return Err(format!("expected a comparison, found {other:?}")),
        };
        if negated {
            return Err("expected 'in' after 'not'".to_owned());
        }
        let mut values = self.values()?;
        if values.len() != 1 {
            return Err(format!(
                "'{field}' is compared with {} values",
                values.len()
            ));
        }
        let value = values.remove(0);
        check_type(&field, &value)?;
        Ok(Predicate::Compare(field, operator, value))
    }

    fn list(&mut self) -> Result<Vec<Value>, String> {
        if !self.takes_sign("(") {
            return match self.peek() {
                Some(Token::Variable(_)) => self.values(),
                other => Err(format!("expected a list, found {other:?}")),
            };
        }
        let mut list = self.values()?;
        while self.takes_sign(",") {
            list.extend(self.values()?);
        }
        self.must_sign(")")?;
        Ok(list)
    }

    fn values(&mut self) -> Result<Vec<Value>, String> {
        match self.next()? {
            Token::Text(text) => Ok(vec![Value::String(text)]),
            Token::Word(word) if word == "true" => Ok(vec![Value::Bool(true)]),
            Token::Word(word) if word == "false" => Ok(vec![Value::Bool(false)]),
            Token::Number(number) => serde_json::from_str(&number)
                .map(|number| vec![number])
                .map_err(|_| format!("'{number}' is not a number")),
            Token::Variable(name) => match self.variables.get(&name) {
                Some(values) => Ok(values.iter().cloned().map(Value::String).collect()),
                None => Err(format!("the variable ':{name}' has no value")),
            },
            other => Err(format!("expected a value, found {other:?}")),
        }
    }
}

fn negate(negated: bool, predicate: Predicate) -> Predicate {
    if negated {
        Predicate::Not(Box::new(predicate))
    } else {
        predicate
    }
}

/// Ids are compared with texts, dates with dates.
fn check_type(field: &str, value: &Value) -> Result<(), String> {
    let fits = match field {
        "id" | "key" | "container" => value.is_string(),
        "createdAt" | "lastModifiedAt" => value
            .as_str()
            .is_some_and(|text| text.parse::<Timestamp>().is_ok()),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("'{field}' cannot be compared with {value}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KNOWN: &[&str] = &[
        "id",
        "createdAt",
        "lastModifiedAt",
        "version",
        "masterData",
        "email",
    ];

    fn holds(predicate: &str, record: &Value) -> bool {
        Predicate::parse(predicate, &Variables::new(), KNOWN)
            .unwrap()
            .holds(record)
    }

    fn refused(predicate: &str) -> String {
        Predicate::parse(predicate, &Variables::new(), KNOWN).unwrap_err()
    }

    #[test]
    fn comparisons_and_connectives() {
        let record = json!({"id": "b", "version": 3, "lastModifiedAt": "2026-01-01T00:00:00.000Z",
            "masterData": {"published": true}});
        for (predicate, expected) in [
            (r#"id > "a""#, true),
            (r#"id > "b""#, false),
            (r#"id >= "b" and id < "c""#, true),
            (r#"id > "a" and id <= "a""#, false),
            (r#"id in ("a", "b")"#, true),
            (r#"id not in ("a", "b")"#, false),
            (r#"not(id = "b") or version = 3"#, true),
            (r#"not(id = "b" or version = 3)"#, false),
            // `and` binds more tightly than `or`.
            (r#"id = "b" or id = "c" and version = 4"#, true),
            (r#"(id = "b" or id = "c") and version = 4"#, false),
            (r#"lastModifiedAt >= "2026-01-01T00:00:00Z""#, true),
            (r#"lastModifiedAt > "2026-01-01T00:00:00Z""#, false),
            ("masterData(published = true)", true),
            ("email is defined", false),
            ("email is not defined", true),
        ] {
            assert_eq!(holds(predicate, &record), expected, "{predicate}");
        }
    }

    #[test]
    fn an_escaped_quote_stays_within_its_string() {
        let record = json!({"id": "x\") or (id != \"y"});
        assert!(holds(r#"id = "x\") or (id != \"y""#, &record));
        assert!(!holds(r#"id = "x\\""#, &record));
    }

    #[test]
    fn variables_have_one_value_or_a_list() {
        let variables = Variables::from([
            ("last".to_owned(), vec!["a".to_owned()]),
            ("ids".to_owned(), vec!["b".to_owned(), "c".to_owned()]),
        ]);
        let record = json!({"id": "b"});
        let parse = |text| Predicate::parse(text, &variables, KNOWN);
        assert!(parse("id > :last and id in :ids").unwrap().holds(&record));
        assert!(parse("id > :missing").is_err());
        assert!(parse("id > :ids").is_err());
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for predicate in [
            "",
            "id",
            "id >",
            "id > a",
            r#"id > "a"#,
            r#"id > "\n""#,
            r#"id > "a" and"#,
            r#"id > "a" id < "b""#,
            r#"(id > "a""#,
            r#"id > "a")"#,
            "id in ()",
            r#"id in "a""#,
            "id > 3",
            r#"lastModifiedAt > "yesterday""#,
            r#"shoeSize = "9""#,
            r#"not id = "a""#,
            r#"id == "a""#,
            "id > 'a'",
        ] {
            assert!(!refused(predicate).is_empty(), "{predicate}");
        }
    }

    #[test]
    fn bounds_hold_every_id_that_fulfils_the_predicate() {
        let bounds = |text| {
            Predicate::parse(text, &Variables::new(), KNOWN)
                .unwrap()
                .id_bounds()
        };
        let both = bounds(r#"id > "a" and id <= "d" and id > "b""#);
        assert_eq!(both.from.as_deref(), Some("b"));
        assert_eq!(both.until.as_deref(), Some("d"));
        assert_eq!(bounds(r#"id > "a" or version = 1"#), IdBounds::default());
        assert_eq!(bounds(r#"not(id > "a")"#), IdBounds::default());
    }
}
