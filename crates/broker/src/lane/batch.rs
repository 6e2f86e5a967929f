//! A batch in the engine: together, else by halves, else one by one.

use std::time::Duration;

use dbmux_engine::{EngineError, EngineSession, InsertShape, ServiceError};

use super::Item;
use crate::{core::Core, errors};

/// The longest pause between two tries that met a conflict.
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Commits the items and acknowledges each. Gives the session back.
pub(super) fn commit(
    core: &Core,
    shape: &InsertShape,
    mut session: Box<dyn EngineSession>,
    items: Vec<Item>,
) -> Box<dyn EngineSession> {
    let mut outcomes = Vec::with_capacity(items.len());
    halve(core, shape, session.as_mut(), &items, &mut outcomes);
    for (item, outcome) in items.into_iter().zip(outcomes) {
        // Whoever asked may be gone.
        let _ = item.done.send(outcome);
    }
    session
}

/// Runs the items in their order, and pushes an outcome for each.
fn halve(
    core: &Core,
    shape: &InsertShape,
    session: &mut dyn EngineSession,
    items: &[Item],
    outcomes: &mut Vec<Result<(), ServiceError>>,
) {
    if let [item] = items {
        outcomes.push(alone(core, shape, session, item));
        return;
    }
    let rows: Vec<_> = items.iter().map(|item| (item.sql.as_ref(), item.parameters.as_ref())).collect();
    match session.insert_many(shape, &rows).and_then(|()| core.file.verify(false)) {
        Ok(()) => outcomes.extend(items.iter().map(|_| Ok(()))),
        // Nothing can be said of a file that is lost but that.
        Err(error @ EngineError::FileLost { .. }) => {
            let error = errors::engine(error, &core.options.database);
            outcomes.extend(items.iter().map(|_| Err(error.clone())));
        }
        Err(_) => {
            let (front, back) = items.split_at(items.len() / 2);
            halve(core, shape, session, front, outcomes);
            halve(core, shape, session, back, outcomes);
        }
    }
}

/// Runs one item: by the lane's prepared statement, and when that fails as it was written, for its own words.
fn alone(core: &Core, shape: &InsertShape, session: &mut dyn EngineSession, item: &Item) -> Result<(), ServiceError> {
    let outcome = session.insert_many(shape, &[(item.sql.as_ref(), item.parameters.as_ref())]);
    let outcome = outcome.or_else(|_| as_written(core, session, item)).and_then(|()| core.file.verify(false));
    outcome.map_err(|error| errors::engine(error, &core.options.database))
}

fn as_written(core: &Core, session: &mut dyn EngineSession, item: &Item) -> Result<(), EngineError> {
    loop {
        match run(session, item) {
            Err(EngineError::Conflict { .. }) if !item.deadline.passed() && !item.track.cancel.is_cancelled() => {
                core.counters.conflict_retried();
                std::thread::sleep(CONFLICT_PAUSE.mul_f64(rand::random::<f64>()));
            }
            outcome => return outcome,
        }
    }
}

fn run(session: &mut dyn EngineSession, item: &Item) -> Result<(), EngineError> {
    let prepared = session.prepare(&item.sql)?;
    let outcome = (|| {
        let mut rows = session.execute(prepared.id, item.parameters.as_ref(), false)?;
        while rows.next()?.is_some() {}
        Ok(())
    })();
    session.forget(prepared.id);
    outcome
}
