//! Chains of reasons: from an entry to where its reasons end, the shortest first.
//!
//! Entries and reasons are numbers here; what they are called is known to who asks. A dense closure has more chains
//! than can be told (each level of libraries that all need each other multiplies them), so a few are told and the
//! rest is counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Where a reason leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leads {
    /// It needs no other: somebody asked for it.
    Ends,
    /// To the entry of this number, which has reasons of its own.
    To(usize),
    /// To nothing that is known.
    Nowhere,
}

/// How many chains there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(u64),
    /// So many or more: entries that are each other's reason, of which a chain passes each once, are only
    /// counted by walking.
    AtLeast(u64),
}

/// Some chains, and the number of all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chains {
    /// Each a list of entries and which of their reasons it goes by; no entry stands in one twice. Shortest
    /// first, then by the order of reasons.
    pub shortest: Vec<Vec<(usize, usize)>>,
    /// All of them.
    pub total: Total,
}

/// Steps that are kept, and steps that are looked at, at most: a hostile image must fill neither the
/// memory nor the time.
const MOST_STEPS: usize = 500_000;
const MOST_LOOKS: usize = 20_000_000;

/// The shortest chains from entry number `start`, at most `limit`. `reasons` has a list for each entry.
pub fn chains(reasons: &[Vec<Leads>], start: usize, limit: usize) -> Chains {
    let lengths = lengths(reasons);
    let counted = count(reasons, &lengths, start);
    let mut walk = Walk {
        reasons,
        lengths: &lengths,
        circles: counted.is_none(),
        steps: Vec::new(),
        open: BinaryHeap::new(),
        looks: 0,
    };
    walk.enter(None, start, 0);
    let mut shortest = Vec::new();
    let mut met = 0;
    let mut whole = true;
    while let Some(Reverse((_, Reverse(length), number))) = walk.open.pop() {
        let enough = met >= limit && !walk.circles;
        if enough || walk.steps.len() > MOST_STEPS || walk.looks > MOST_LOOKS {
            whole = false;
            break;
        }
        let step = walk.steps[number];
        if let Leads::To(next) = reasons[step.entry][step.reason] {
            walk.enter(Some(number), next, length);
            continue;
        }
        met += 1;
        if shortest.len() < limit {
            shortest.push(walk.chain(number));
        }
    }
    let total = match counted {
        Some(u64::MAX) => Total::AtLeast(u64::MAX),
        Some(number) => Total::Exactly(number),
        None if whole => Total::Exactly(met as u64),
        None => Total::AtLeast(met as u64),
    };
    Chains { shortest, total }
}

/// Chains under way, each known by its last step.
struct Walk<'a> {
    reasons: &'a [Vec<Leads>],
    lengths: &'a [Option<usize>],
    /// Whether a chain can come to an entry again.
    circles: bool,
    steps: Vec<Step>,
    /// By the length that a chain will have at least, then the one that is furthest, so that chains of
    /// one length are finished one by one.
    open: BinaryHeap<Reverse<(usize, Reverse<usize>, usize)>>,
    looks: usize,
}

#[derive(Clone, Copy)]
struct Step {
    entry: usize,
    reason: usize,
    before: Option<usize>,
    length: usize,
}

impl Walk<'_> {
    /// Adds a step for each reason of an entry that leads to an end by way of entries that are not in
    /// the chain already.
    fn enter(&mut self, before: Option<usize>, entry: usize, length: usize) {
        let reasons = self.reasons;
        for (reason, leads) in reasons.get(entry).into_iter().flatten().enumerate() {
            let left = match *leads {
                Leads::Ends => Some(0),
                Leads::To(next) if next == entry || self.passed(before, next) => None,
                Leads::To(next) => self.lengths.get(next).copied().flatten(),
                Leads::Nowhere => None,
            };
            if let Some(left) = left {
                let length = length + 1;
                self.steps.push(Step { entry, reason, before, length });
                self.open.push(Reverse((length + left, Reverse(length), self.steps.len() - 1)));
            }
        }
    }

    fn passed(&mut self, from: Option<usize>, entry: usize) -> bool {
        if !self.circles {
            return false;
        }
        let found = self.back(from).position(|step| step.entry == entry);
        self.looks += found.unwrap_or_else(|| from.map_or(0, |at| self.steps[at].length));
        found.is_some()
    }

    fn back(&self, from: Option<usize>) -> impl Iterator<Item = &Step> {
        std::iter::successors(from.map(|at| &self.steps[at]), |step| {
            step.before.map(|at| &self.steps[at])
        })
    }

    fn chain(&self, last: usize) -> Vec<(usize, usize)> {
        let mut chain: Vec<_> =
            self.back(Some(last)).map(|step| (step.entry, step.reason)).collect();
        chain.reverse();
        chain
    }
}

/// Steps from each entry to the nearest end.
fn lengths(reasons: &[Vec<Leads>]) -> Vec<Option<usize>> {
    let mut back: Vec<Vec<usize>> = vec![Vec::new(); reasons.len()];
    let mut lengths = vec![None; reasons.len()];
    let mut queue = VecDeque::new();
    for (entry, leads) in reasons.iter().enumerate() {
        for leads in leads {
            match *leads {
                Leads::Ends if lengths[entry].is_none() => {
                    lengths[entry] = Some(1);
                    queue.push_back((entry, 1));
                }
                Leads::To(next) => back.get_mut(next).into_iter().for_each(|back| back.push(entry)),
                _ => {}
            }
        }
    }
    while let Some((entry, length)) = queue.pop_front() {
        for &before in &back[entry] {
            if lengths[before].is_none() {
                lengths[before] = Some(length + 1);
                queue.push_back((before, length + 1));
            }
        }
    }
    lengths
}

/// Number of chains from `start`; `None` where entries are each other's reason.
fn count(reasons: &[Vec<Leads>], lengths: &[Option<usize>], start: usize) -> Option<u64> {
    const OPEN: Option<u64> = None;
    // What was entered and is not counted is on the way from the start: coming to it is a circle.
    let mut counts: Vec<Option<Option<u64>>> = vec![None; reasons.len()];
    let mut stack = vec![(start, 0)];
    *counts.get_mut(start)? = Some(OPEN);
    while let Some((entry, reason)) = stack.pop() {
        match reasons[entry].get(reason) {
            Some(&Leads::To(next)) if lengths.get(next).copied().flatten().is_some() => {
                stack.push((entry, reason + 1));
                match counts[next] {
                    None => {
                        counts[next] = Some(OPEN);
                        stack.push((next, 0));
                    }
                    Some(OPEN) => return None,
                    Some(Some(_)) => {}
                }
            }
            Some(_) => stack.push((entry, reason + 1)),
            None => {
                let sum = reasons[entry].iter().fold(0_u64, |sum, leads| {
                    sum.saturating_add(match *leads {
                        Leads::Ends => 1,
                        Leads::To(next) => {
                            counts.get(next).copied().flatten().flatten().unwrap_or(0)
                        }
                        Leads::Nowhere => 0,
                    })
                });
                counts[entry] = Some(Some(sum));
            }
        }
    }
    counts[start].flatten()
}

#[cfg(test)]
mod tests {
    use super::Leads::{Ends, Nowhere, To};
    use super::*;

    fn check(reasons: &[&[Leads]], limit: usize, wanted: &[&[(usize, usize)]], total: Total) {
        let reasons: Vec<Vec<Leads>> = reasons.iter().map(|leads| leads.to_vec()).collect();
        let wanted = wanted.iter().map(|chain| chain.to_vec()).collect();
        assert_eq!(chains(&reasons, 0, limit), Chains { shortest: wanted, total }, "{reasons:?}");
    }

    #[test]
    fn the_shortest_come_first_and_circles_are_left() {
        check(&[&[Ends]], 9, &[&[(0, 0)]], Total::Exactly(1));
        check(&[&[Nowhere, To(1)], &[]], 9, &[], Total::Exactly(0));
        check(&[&[To(9)]], 9, &[], Total::Exactly(0));
        // By way of 1 and 2, of 2 alone, and of nothing.
        let long: &[&[Leads]] = &[&[To(1), To(2), Ends], &[To(2)], &[Ends]];
        let (all, direct) = ([(0, 0), (1, 0), (2, 0)], [(0, 1), (2, 0)]);
        check(long, 9, &[&[(0, 2)], &direct, &all], Total::Exactly(3));
        check(long, 1, &[&[(0, 2)]], Total::Exactly(3));
        check(long, 0, &[], Total::Exactly(3));
        // 1 and 2 need each other; 0 needs itself.
        let circle: &[&[Leads]] = &[&[To(0), To(1)], &[To(2), Ends], &[To(1), Ends]];
        check(circle, 9, &[&[(0, 1), (1, 1)], &[(0, 1), (1, 0), (2, 1)]], Total::Exactly(2));
        check(circle, 1, &[&[(0, 1), (1, 1)]], Total::Exactly(2));
    }

    /// `levels` pairs, each of which needs both of the next.
    fn ladder(levels: usize, circle: bool) -> Vec<Vec<Leads>> {
        let mut reasons = vec![vec![To(1), To(2)]];
        for level in 0..levels {
            let next = level * 2 + 3;
            let mut leads =
                if level + 1 == levels { vec![Ends] } else { vec![To(next), To(next + 1)] };
            if circle && level > 0 {
                leads.push(To(level * 2 - 1));
            }
            reasons.extend([leads.clone(), leads]);
        }
        reasons
    }

    #[test]
    fn more_chains_than_can_be_walked_are_counted_or_bounded() {
        let few = chains(&ladder(50, false), 0, 3);
        assert_eq!(few.total, Total::Exactly(1 << 50));
        assert_eq!(few.shortest.len(), 3);
        assert!(few.shortest.iter().all(|chain| chain.len() == 51));
        assert_eq!(chains(&ladder(80, false), 0, 1).total, Total::AtLeast(u64::MAX));
        let circles = chains(&ladder(50, true), 0, 3);
        assert_eq!(circles.shortest.len(), 3);
        assert!(matches!(circles.total, Total::AtLeast(number) if number > 3), "{circles:?}");
    }

    #[test]
    fn a_chain_may_be_long() {
        let count = 20_000;
        let mut reasons: Vec<Vec<Leads>> = (1..count).map(|next| vec![To(next)]).collect();
        reasons.push(vec![Ends]);
        let found = chains(&reasons, 0, 2);
        assert_eq!((found.shortest[0].len(), found.total), (count, Total::Exactly(1)));
    }
}
