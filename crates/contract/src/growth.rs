//! Whether a schema only grew: what was released once stays readable and writable.
//!
//! Old clients write commands that new services read, and new services write events that old
//! clients read. So no field goes away or changes its kind; a command never asks for a new field;
//! an event never stops giving one that it always gave; a word that a command may use stays, and a
//! field's range of words in an event doesn't widen. Of forms of which one has to fit ("either this or
//! that") a command keeps each, and an event gets no other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::message::Kind;

/// Every way in which `new` breaks what `old` promised, as sentences that name the field.
#[must_use]
pub fn breaks(kind: Kind, old: &Value, new: &Value) -> Vec<String> {
    let mut breaks = Vec::new();
    let compare = Compare {
        kind,
        old_root: old,
        new_root: new,
    };
    compare.schemas(".", old, new, 0, &mut breaks);
    breaks
}

/// Deeper schemas refer to themselves.
const MAX_DEPTH: usize = 32;

struct Compare<'a> {
    kind: Kind,
    old_root: &'a Value,
    new_root: &'a Value,
}

impl Compare<'_> {
    fn schemas(&self, path: &str, old: &Value, new: &Value, depth: usize, out: &mut Vec<String>) {
        if depth > MAX_DEPTH {
            return;
        }
        self.null(path, old, new, out);
        let (old, new) = (resolve(self.old_root, old), resolve(self.new_root, new));
        self.kinds(path, old, new, out);
        self.words(path, old, new, out);
        self.required(path, old, new, out);
        self.forms(path, old, new, depth, out);
        let empty = serde_json::Map::new();
        let old_fields = old["properties"].as_object().unwrap_or(&empty);
        let new_fields = new["properties"].as_object().unwrap_or(&empty);
        for (name, field) in old_fields {
            let path = join(path, name);
            match new_fields.get(name) {
                Some(now) => self.schemas(&path, field, now, depth + 1, out),
                None => out.push(format!("{path} is gone")),
            }
        }
        for (of, inside) in [("items", "[]"), ("additionalProperties", ".*")] {
            if !old[of].is_null() || !new[of].is_null() {
                let path = format!("{path}{inside}");
                self.schemas(&path, &old[of], &new[of], depth + 1, out);
            }
        }
        if self.kind == Kind::Command
            && new["additionalProperties"] == false
            && old["additionalProperties"] != false
        {
            out.push(format!("{path} takes no other fields now"));
        }
    }

    /// What one of has to fit ("either an id or the sound"): who writes is let do what it could, and who
    /// reads isn't given what it doesn't know.
    fn forms(&self, path: &str, old: &Value, new: &Value, depth: usize, out: &mut Vec<String>) {
        for key in ["oneOf", "anyOf", "allOf"] {
            // What is written has to fit one of those that are read.
            let (writer, reader) = match self.kind {
                Kind::Command => (old, new),
                Kind::Event => (new, old),
            };
            let (mut written, read) = (forms(writer, key), forms(reader, key));
            if read.is_empty() {
                continue; // anything is
            }
            if written.is_empty() {
                written.push(writer);
            }
            for form in written {
                let fits = read.iter().any(|other| {
                    let (old, new) = match self.kind {
                        Kind::Command => (form, *other),
                        Kind::Event => (*other, form),
                    };
                    let mut breaks = Vec::new();
                    self.schemas(path, old, new, depth + 1, &mut breaks);
                    breaks.is_empty()
                });
                if !fits {
                    out.push(match self.kind {
                        Kind::Command => format!("{path} may no longer be {form}"),
                        Kind::Event => format!("{path} may be {form} now"),
                    });
                }
            }
        }
    }

    /// "This or null", beside a type that says so: [`resolve`] takes it away.
    fn null(&self, path: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
        let may = |schema: &Value| or_null(schema) || texts(&schema["type"]).contains("null");
        match self.kind {
            Kind::Command if or_null(old) && !may(new) => {
                out.push(format!("{path} may no longer be null"));
            }
            Kind::Event if or_null(new) && !may(old) => out.push(format!("{path} may be null now")),
            _ => {}
        }
    }

    fn kinds(&self, path: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
        let (was, is) = (texts(&old["type"]), texts(&new["type"]));
        let (from, to) = match self.kind {
            Kind::Command => (&was, &is),
            Kind::Event => (&is, &was),
        };
        // No type at all means any.
        if !to.is_empty() && (from.is_empty() || !from.is_subset(to)) {
            out.push(format!("{path} was {was:?} and is {is:?}"));
        }
        for key in ["format", "pattern", "contentEncoding"] {
            if old[key] != new[key] {
                out.push(format!(
                    "the {key} of {path} was {} and is {}",
                    old[key], new[key]
                ));
            }
        }
    }

    fn words(&self, path: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
        let (was, is) = (words(old), words(new));
        let lost = match self.kind {
            Kind::Command if !is.is_empty() => was.difference(&is).cloned().collect::<Vec<_>>(),
            Kind::Event if !was.is_empty() => is.difference(&was).cloned().collect(),
            _ => Vec::new(),
        };
        if !lost.is_empty() {
            out.push(format!("the words of {path} changed: {lost:?}"));
        }
        if self.kind == Kind::Command && was.is_empty() && !is.is_empty() {
            out.push(format!("{path} is limited to {is:?} now"));
        }
    }

    fn required(&self, path: &str, old: &Value, new: &Value, out: &mut Vec<String>) {
        let (was, is) = (texts(&old["required"]), texts(&new["required"]));
        match self.kind {
            Kind::Command => {
                for name in is.difference(&was) {
                    out.push(format!("{} is required now", join(path, name)));
                }
            }
            Kind::Event => {
                for name in was.difference(&is) {
                    out.push(format!("{} is no longer certain", join(path, name)));
                }
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path == "." {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Follows a reference, and the one that matters of "this or null".
fn resolve<'a>(root: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..MAX_DEPTH {
        if let Some(pointer) = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#')) {
            schema = root.pointer(pointer).unwrap_or(&Value::Null);
        } else if let Some(some) = schema["anyOf"].as_array().and_then(|of| one_or_null(of)) {
            schema = some;
        } else {
            break;
        }
    }
    schema
}

fn or_null(schema: &Value) -> bool {
    let of = schema["anyOf"].as_array().map_or(&[][..], Vec::as_slice);
    of.iter().any(|schema| schema["type"] == "null")
}

/// The one that isn't null.
fn one_or_null(of: &[Value]) -> Option<&Value> {
    let mut some = of.iter().filter(|schema| schema["type"] != "null");
    some.next().filter(|_| some.next().is_none())
}

/// Of what one has to fit, where that isn't a list of words: [`words`] has those.
fn forms<'a>(schema: &'a Value, key: &str) -> Vec<&'a Value> {
    let of = schema[key].as_array().map_or(&[][..], Vec::as_slice);
    of.iter().filter(|form| words(form).is_empty()).collect()
}

fn texts(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => BTreeSet::from([text.clone()]),
        Value::Array(items) => items
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// The words that a field is limited to, in any of the forms that schemars writes.
fn words(schema: &Value) -> BTreeSet<String> {
    let mut words = texts(&schema["enum"]);
    words.extend(texts(&schema["const"]));
    for variant in schema["oneOf"].as_array().into_iter().flatten() {
        words.extend(texts(&variant["const"]));
        words.extend(texts(&variant["enum"]));
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(properties: Value, required: Value) -> Value {
        json!({"type": "object", "properties": properties, "required": required,
            "$defs": {"Word": {"oneOf": [{"const": "a"}, {"const": "b"}]},
                      "Less": {"oneOf": [{"const": "a"}]}}})
    }

    fn one(kind: Kind, old: &Value, new: &Value) -> String {
        let breaks = breaks(kind, old, new);
        assert_eq!(breaks.len(), 1, "{breaks:?}");
        breaks.into_iter().next().unwrap()
    }

    #[test]
    fn a_new_optional_field_is_growth() {
        let old = object(json!({"a": {"type": "string"}}), json!(["a"]));
        let new = object(
            json!({"a": {"type": "string"}, "b": {"type": ["integer", "null"]}}),
            json!(["a"]),
        );
        for kind in [Kind::Command, Kind::Event] {
            assert_eq!(breaks(kind, &old, &new), Vec::<String>::new());
        }
    }

    #[test]
    fn a_field_that_goes_or_changes_its_kind_is_noticed() {
        let old = object(
            json!({"a": {"type": "object", "properties": {"x": {"type": "string"}}}}),
            json!([]),
        );
        let gone = object(
            json!({"a": {"type": "object", "properties": {}}}),
            json!([]),
        );
        let other = object(
            json!({"a": {"type": "object", "properties": {"x": {"type": "integer"}}}}),
            json!([]),
        );
        for kind in [Kind::Command, Kind::Event] {
            assert_eq!(one(kind, &old, &gone), "a.x is gone");
            assert!(one(kind, &old, &other).starts_with("a.x was"));
        }
    }

    #[test]
    fn commands_ask_for_no_more_and_events_give_no_less() {
        let fields = json!({"a": {"type": "string"}});
        let asked = object(fields.clone(), json!(["a"]));
        let free = object(fields, json!([]));
        assert_eq!(one(Kind::Command, &free, &asked), "a is required now");
        assert_eq!(one(Kind::Event, &asked, &free), "a is no longer certain");
        assert!(breaks(Kind::Command, &asked, &free).is_empty());
        assert!(breaks(Kind::Event, &free, &asked).is_empty());
    }

    #[test]
    fn commands_lose_no_word_and_events_gain_none() {
        let more = object(json!({"a": {"$ref": "#/$defs/Word"}}), json!([]));
        let less = object(json!({"a": {"$ref": "#/$defs/Less"}}), json!([]));
        assert!(one(Kind::Command, &more, &less).contains("\"b\""));
        assert!(one(Kind::Event, &less, &more).contains("\"b\""));
        assert!(breaks(Kind::Command, &less, &more).is_empty());
    }

    #[test]
    fn a_command_keeps_each_of_its_forms_and_an_event_gets_no_other() {
        let form =
            |name: &str| json!({"properties": {name: {"type": "string"}}, "required": [name]});
        let with = |forms: Value| json!({"type": "object", "properties": {"a": {}, "b": {}}, "oneOf": forms});
        let both = with(json!([form("a"), form("b")]));
        let one_of_them = with(json!([form("a")]));
        let free = json!({"type": "object", "properties": {"a": {}, "b": {}}});
        assert!(one(Kind::Command, &both, &one_of_them).starts_with(". may no longer be"));
        assert!(one(Kind::Command, &free, &both).starts_with(". may no longer be"));
        assert!(one(Kind::Event, &one_of_them, &both).starts_with(". may be"));
        assert!(breaks(Kind::Command, &one_of_them, &both).is_empty());
        assert!(breaks(Kind::Command, &both, &free).is_empty());
        assert!(breaks(Kind::Event, &both, &one_of_them).is_empty());
        assert!(breaks(Kind::Event, &free, &both).is_empty());
    }

    #[test]
    fn words_at_the_root_count_like_those_of_a_field() {
        let (more, less) = (json!({"enum": ["a", "b"]}), json!({"enum": ["a"]}));
        assert!(one(Kind::Command, &more, &less).contains("\"b\""));
        assert!(one(Kind::Event, &less, &more).contains("\"b\""));
    }

    #[test]
    fn what_any_name_may_hold_counts_like_a_field() {
        let of = |kind: Value| object(json!({"a": {"additionalProperties": kind}}), json!([]));
        let (texts, all) = (of(json!({"type": "string"})), of(json!(true)));
        assert!(one(Kind::Command, &all, &texts).starts_with("a.* was"));
        assert_eq!(
            one(Kind::Command, &all, &of(json!(false))),
            "a takes no other fields now"
        );
        assert!(breaks(Kind::Command, &texts, &all).is_empty());
    }

    #[test]
    fn this_or_null_may_be_allowed_in_a_command_and_not_in_an_event() {
        let word = json!({"$ref": "#/$defs/Word"});
        let plain = object(json!({"a": word}), json!([]));
        let or_null = object(json!({"a": {"anyOf": [word, {"type": "null"}]}}), json!([]));
        assert_eq!(one(Kind::Event, &plain, &or_null), "a may be null now");
        assert_eq!(
            one(Kind::Command, &or_null, &plain),
            "a may no longer be null"
        );
        assert!(breaks(Kind::Command, &plain, &or_null).is_empty());
    }

    #[test]
    fn null_may_be_allowed_in_a_command_and_not_in_an_event() {
        let plain = object(json!({"a": {"type": "string"}}), json!([]));
        let nullable = object(json!({"a": {"type": ["string", "null"]}}), json!([]));
        assert!(breaks(Kind::Command, &plain, &nullable).is_empty());
        assert_eq!(breaks(Kind::Event, &plain, &nullable).len(), 1);
    }
}
