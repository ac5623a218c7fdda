//! What changed between two texts, line by line.
//!
//! The longest common subsequence of the lines between the first and the last
//! difference, so that a usual change costs little; bounded in memory.

/// Lines on each side that are compared with each other: a table of 4 million small
/// numbers. Larger changes are shown as removed and added whole.
const COMPARED_MAX: usize = 2_000;
/// Lines shown around a change, as is usual.
const CONTEXT: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'t> {
    Same(&'t str),
    Removed(&'t str),
    Added(&'t str),
}

/// Lines that begin with ` `, `-` or `+`; `...` stands for lines left out. Empty when
/// nothing changed.
pub(crate) fn diff(before: &str, after: &str) -> String {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let alike = |(a, b): &(&&str, &&str)| a == b;
    let head = before.iter().zip(&after).take_while(alike).count();
    let tail = before[head..].iter().rev().zip(after[head..].iter().rev()).take_while(alike).count();
    let mut lines: Vec<Line<'_>> = before[..head].iter().map(|line| Line::Same(line)).collect();
    compare(&before[head..before.len() - tail], &after[head..after.len() - tail], &mut lines);
    lines.extend(before[before.len() - tail..].iter().map(|line| Line::Same(line)));
    show(&lines)
}

fn compare<'t>(before: &[&'t str], after: &[&'t str], lines: &mut Vec<Line<'t>>) {
    if before.len() > COMPARED_MAX || after.len() > COMPARED_MAX {
        lines.extend(before.iter().map(|line| Line::Removed(line)));
        lines.extend(after.iter().map(|line| Line::Added(line)));
        return;
    }
    let common = common(before, after);
    let (mut a, mut b) = (0, 0);
    while a < before.len() || b < after.len() {
        if a < before.len() && b < after.len() && before[a] == after[b] {
            lines.push(Line::Same(before[a]));
            (a, b) = (a + 1, b + 1);
        } else if b == after.len() || (a < before.len() && common[a + 1][b] >= common[a][b + 1]) {
            lines.push(Line::Removed(before[a]));
            a += 1;
        } else {
            lines.push(Line::Added(after[b]));
            b += 1;
        }
    }
}

/// How many lines the two have in common from each pair of places on.
fn common(before: &[&str], after: &[&str]) -> Vec<Vec<u16>> {
    let mut table = vec![vec![0u16; after.len() + 1]; before.len() + 1];
    for a in (0..before.len()).rev() {
        for b in (0..after.len()).rev() {
            table[a][b] = match before[a] == after[b] {
                true => table[a + 1][b + 1] + 1,
                false => table[a + 1][b].max(table[a][b + 1]),
            };
        }
    }
    table
}

fn show(lines: &[Line<'_>]) -> String {
    let changed: Vec<bool> = lines.iter().map(|line| !matches!(line, Line::Same(_))).collect();
    if !changed.contains(&true) {
        return String::new();
    }
    let is_near =
        |at: usize| changed[at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(changed.len())].contains(&true);
    let mut text = String::new();
    let mut left_out = false;
    for (at, line) in lines.iter().enumerate() {
        if !is_near(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            text.push_str("...\n");
        }
        let (mark, line) = match line {
            Line::Same(line) => (' ', line),
            Line::Removed(line) => ('-', line),
            Line::Added(line) => ('+', line),
        };
        text.push(mark);
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_shown_with_what_stands_around_them() {
        for (before, after, wanted) in [
            ("a\nb\nc", "a\nb\nc", ""),
            ("a\nb\nc", "a\nx\nc", " a\n-b\n+x\n c\n"),
            ("a\nb", "a\nb\nc", " a\n b\n+c\n"),
            ("", "a", "+a\n"),
            ("1\n2\n3\n4\n5\n6", "1\n2\n3\n4\n5\n7", "...\n 3\n 4\n 5\n-6\n+7\n"),
            ("a\nb\na\nb", "b\na\nb\na", "-a\n b\n a\n b\n+a\n"),
        ] {
            assert_eq!(diff(before, after), wanted, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn a_change_of_everything_is_bounded() {
        let before: String = (0..5_000).map(|n| format!("a{n}\n")).collect();
        let after: String = (0..5_000).map(|n| format!("b{n}\n")).collect();
        assert_eq!(diff(&before, &after).lines().count(), 10_000);
    }
}
