//! Fewer cases than all combinations, and yet each value meets each other.

/// Cases for parameters with these numbers of values, such that any two values of any two
/// parameters occur together in at least one case.
#[must_use]
pub fn pairwise(counts: &[usize]) -> Vec<Vec<usize>> {
    let mut missing: Vec<[usize; 4]> = Vec::new();
    for (a, &count_a) in counts.iter().enumerate() {
        for (b, &count_b) in counts.iter().enumerate().skip(a + 1) {
            missing.extend((0..count_a * count_b).map(|i| [a, i % count_a, b, i / count_a]));
        }
    }
    let mut cases = Vec::new();
    while let Some(&seed) = missing.first() {
        let case = build(counts, &missing, seed);
        missing.retain(|pair| !covers(&case, *pair));
        cases.push(case);
    }
    cases
}

/// A case with the pair `seed` that covers as many missing pairs as a greedy choice can.
fn build(counts: &[usize], missing: &[[usize; 4]], seed: [usize; 4]) -> Vec<usize> {
    let mut case = vec![usize::MAX; counts.len()];
    case[seed[0]] = seed[1];
    case[seed[2]] = seed[3];
    for parameter in 0..counts.len() {
        if case[parameter] == usize::MAX {
            let gain = |value: usize| {
                let mut tried = case.clone();
                tried[parameter] = value;
                missing.iter().filter(|pair| covers(&tried, **pair)).count()
            };
            case[parameter] =
                (0..counts[parameter]).rev().max_by_key(|&value| gain(value)).unwrap();
        }
    }
    case
}

fn covers(case: &[usize], [a, value_a, b, value_b]: [usize; 4]) -> bool {
    case[a] == value_a && case[b] == value_b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_two_values_meet_in_fewer_cases_than_all_combinations() {
        let counts = [2, 6, 9, 4];
        let cases = pairwise(&counts);
        assert!(cases.len() < 80, "{}", cases.len());
        for a in 0..counts.len() {
            for b in a + 1..counts.len() {
                for (x, y) in (0..counts[a]).flat_map(|x| (0..counts[b]).map(move |y| (x, y))) {
                    assert!(cases.iter().any(|case| covers(case, [a, x, b, y])));
                }
            }
        }
    }
}
