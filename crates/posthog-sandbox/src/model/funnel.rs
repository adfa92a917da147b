//! How many steps of a funnel the events of one person complete (Persons API, Funnel).

use super::dates::Time;
use super::entity::Entity;
use super::event::Event;

#[derive(Clone, Copy)]
pub(crate) enum StepOrder {
    Ordered,
    Strict,
    Unordered,
}

/// An event that must not occur after one step and before another, counted from 0.
pub(crate) struct Exclusion {
    pub(crate) event: Entity,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

pub(crate) struct Funnel {
    pub(crate) steps: Vec<Entity>,
    pub(crate) window: chrono::Duration,
    pub(crate) order: StepOrder,
    pub(crate) exclusions: Vec<Exclusion>,
}

/// One pass through the funnel: the event of entry, and when each of the completed steps was.
pub(crate) struct Attempt<'a> {
    pub(crate) entry: &'a Event,
    steps: Vec<Time>,
}

/// Which persons a funnel returns.
pub(crate) enum FunnelSelection {
    /// Reached this step, or, if negative, dropped off right before it.
    Step(i64),
    /// Completed exactly one of these numbers of steps.
    AnyOf(Vec<i64>),
    /// Entered in this period, and dropped off or converted.
    Entered {
        start: Time,
        end: Time,
        drop_off: bool,
    },
}

impl FunnelSelection {
    pub(crate) fn accepts(
        &self,
        funnel: &Funnel,
        events: &[&Event],
        counts: impl Fn(&Attempt<'_>) -> bool,
    ) -> bool {
        let attempts = funnel.attempts(events);
        let attempts = attempts.into_iter().filter(|attempt| counts(attempt));
        match self {
            Self::Entered {
                start,
                end,
                drop_off,
            } => {
                let entered = attempts
                    .filter(|attempt| *start <= attempt.entry.at && attempt.entry.at < *end);
                let furthest = entered.map(|attempt| attempt.steps.len()).max();
                furthest.is_some_and(|steps| (steps < funnel.steps.len()) == *drop_off)
            }
            Self::Step(step) => {
                let furthest = attempts
                    .map(|attempt| attempt.steps.len())
                    .max()
                    .unwrap_or(0);
                let step_number = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
                if *step >= 0 {
                    furthest >= step_number.max(1)
                } else {
                    furthest > 0 && furthest + 1 == step_number
                }
            }
            Self::AnyOf(steps) => {
                let furthest = attempts
                    .map(|attempt| attempt.steps.len())
                    .max()
                    .unwrap_or(0);
                let furthest = i64::try_from(furthest).unwrap_or(i64::MAX);
                furthest > 0 && steps.contains(&furthest)
            }
        }
    }
}

impl Funnel {
    /// One attempt for each event that can be an entry, without those that an exclusion throws out.
    fn attempts<'a>(&self, events: &[&'a Event]) -> Vec<Attempt<'a>> {
        let mut attempts = Vec::new();
        for (index, entry) in events.iter().enumerate() {
            let ends = entry.at + self.window;
            // Events at the same time count as later, wherever they are in the list.
            let others = events
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let later = others.filter(|(_, event)| entry.at <= event.at && event.at <= ends);
            let later: Vec<&Event> = later.map(|(_, event)| *event).collect();
            let steps = match self.order {
                StepOrder::Ordered => self.in_order(entry, later),
                StepOrder::Strict => {
                    let later = events.get(index + 1..).unwrap_or_default();
                    self.in_strict_order(entry, later, ends)
                }
                StepOrder::Unordered => self.in_any_order(entry, &later),
            };
            if !steps.is_empty() && !self.is_excluded(&steps, events) {
                attempts.push(Attempt { entry, steps });
            }
        }
        attempts
    }

    /// The earliest event for each step that is not before the one of the step before.
    fn in_order(&self, entry: &Event, mut later: Vec<&Event>) -> Vec<Time> {
        let mut steps = self.steps.iter();
        if !steps.next().is_some_and(|first| first.matches(entry)) {
            return Vec::new();
        }
        let mut times = vec![entry.at];
        let mut last = entry.at;
        for step in steps {
            let mut candidates = later.iter();
            let found = candidates.position(|event| last <= event.at && step.matches(event));
            let Some(index) = found else {
                break;
            };
            last = later.remove(index).at;
            times.push(last);
        }
        times
    }

    fn in_strict_order(&self, entry: &Event, later: &[&Event], ends: Time) -> Vec<Time> {
        let mut steps = self.steps.iter();
        if !steps.next().is_some_and(|first| first.matches(entry)) {
            return Vec::new();
        }
        let pairs = steps.zip(later);
        let reached = pairs.take_while(|(step, event)| event.at <= ends && step.matches(event));
        let times = reached.map(|(_, event)| event.at);
        std::iter::once(entry.at).chain(times).collect()
    }

    /// The earliest event for each step, of which the first fills one step only too.
    fn in_any_order(&self, entry: &Event, later: &[&Event]) -> Vec<Time> {
        if !self.steps.iter().any(|step| step.matches(entry)) {
            return Vec::new();
        }
        let mut unused: Vec<&Event> = vec![entry];
        unused.extend(later);
        let reached = self.steps.iter().filter_map(|step| {
            let index = unused.iter().position(|event| step.matches(event))?;
            Some(unused.remove(index).at)
        });
        reached.collect()
    }

    fn is_excluded(&self, steps: &[Time], events: &[&Event]) -> bool {
        self.exclusions.iter().any(|exclusion| {
            let Some(from) = steps.get(exclusion.from) else {
                return false;
            };
            let to = steps.get(exclusion.to).copied();
            let to = to.unwrap_or(*from + self.window);
            let mut between = events
                .iter()
                .filter(|event| *from < event.at && event.at < to);
            between.any(|event| exclusion.event.matches(event))
        })
    }
}
