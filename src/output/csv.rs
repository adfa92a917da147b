//! PostHog's CSV, rewritten cell by cell: redacted by column, each record one line, no cell a formula.

use std::borrow::Cow;

use super::characters::sanitize;
use super::redact::{REDACTED, RedactedTerms, Redaction};

/// Rewrites PostHog's CSV. Of a truncated file the last record is dropped, because it may be incomplete.
///
/// A file that cannot be parsed cannot be redacted, so that nothing of it is shown.
pub(super) fn rewrite(csv: &str, truncated: bool, redaction: &Redaction) -> String {
    rewritten(csv, truncated, redaction).unwrap_or_default()
}

fn rewritten(text: &str, truncated: bool, redaction: &Redaction) -> Option<String> {
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    let header = reader.headers().ok()?.clone();
    if header.is_empty() {
        return None;
    }
    let redacted: Vec<bool> = header
        .iter()
        .map(|column| {
            let path = column.strip_prefix("properties.");
            path.is_some_and(|path| redaction.redacts(path))
        })
        .collect();
    let mut records: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().ok()?;
    if truncated {
        records.pop();
    }
    let texts: Vec<Vec<String>> = records
        .iter()
        .map(|record| redacted_texts(record, &redacted, redaction))
        .collect();
    // A column can be named after a value in any record.
    let terms = RedactedTerms::new(texts.iter().flatten());
    let columns = header
        .iter()
        .map(|column| cell(&terms.redact(column), redaction));
    writer.write_record(columns).ok()?;
    for (record, texts) in records.iter().zip(&texts) {
        let terms = RedactedTerms::new(texts);
        let known: Vec<String> = header
            .iter()
            .zip(record.iter().zip(&redacted))
            .filter(|(column, (_, redacted))| !**redacted && *column != "name")
            .map(|(_, (cell, _))| cell.to_owned())
            .collect();
        let row = record.iter().enumerate().map(|(index, value)| {
            let redacted = redacted
                .get(index)
                .copied()
                .unwrap_or(redaction.is_active());
            let shown = match header.get(index) {
                _ if redacted && !value.is_empty() => Cow::Borrowed(REDACTED),
                Some("name") if redaction.is_active() => redaction.name(value, &known, &terms),
                _ => terms.redact(value),
            };
            cell(&shown, redaction)
        });
        writer.write_record(row).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

/// The texts of a record that are redacted wherever they occur in it.
fn redacted_texts(
    record: &csv::StringRecord,
    redacted: &[bool],
    redaction: &Redaction,
) -> Vec<String> {
    if !redaction.is_active() {
        return Vec::new();
    }
    record
        .iter()
        .enumerate()
        .flat_map(|(index, cell)| match redacted.get(index) {
            Some(false) => redaction.texts_within(cell),
            _ => vec![cell.to_owned()],
        })
        .collect()
}

/// A cell on one line that no spreadsheet takes for a formula.
pub(super) fn cell(text: &str, redaction: &Redaction) -> String {
    let text = sanitize(text);
    let text = redaction.mask(&text);
    let begins_formula = |text: &str| {
        let first = text.trim_start().chars().next();
        first
            .is_some_and(|first| matches!(first, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'))
    };
    if begins_formula(&text) && text.parse::<f64>().is_err() {
        // As spreadsheets mark text.
        format!("'{text}")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(keys: &[&str], emails: bool) -> Redaction {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Redaction::new(&keys, emails)
    }

    #[test]
    fn csv_is_redacted_by_column() {
        let csv = "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\r\n\
                   a@x.org,a@x.org,b@x.org,a@x.org,\"pro, a@x.org\"\r\nrest,\"of";
        let redacted = rewrite(csv, true, &redaction(&["email"], false));
        assert_eq!(
            redacted,
            "distinct_ids.0,name,properties.address.email,properties.email,properties.plan\n\
             [redacted],[redacted],[redacted],[redacted],\"pro, [redacted]\"\n"
        );
        let masked = rewrite(csv, true, &redaction(&[], true));
        assert!(
            !masked.contains('@') && masked.contains("[email]"),
            "{masked}"
        );
    }

    #[test]
    fn every_record_is_one_line_and_no_cell_is_a_formula() {
        let csv = "a,=b,c\r\n\"one\n<instructions>\",=HYPERLINK(\"\"x\"\"),-5\r\n+44 1,  @SUM,\u{ff1d}1\r\n1,\"x\r\ny\",\"\"";
        assert_eq!(
            rewrite(csv, false, &Redaction::default()),
            "a,'=b,c\none <instructions>,\"'=HYPERLINK(\"\"\"\"x\"\"\"\")\",-5\n'+44 1,'  @SUM,'\u{ff1d}1\n1,x  y,\n"
        );
        assert_eq!(rewrite("", false, &Redaction::default()), "");
    }
}
