//! A batch in the engine: together, else by halves, else one by one.

use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
};
use dbmux_engine::{EngineError, EngineSession, InsertShape, ResultShape, ServiceError};

use super::{Batch, Item, Outcome};
use crate::{core::Core, errors, seat::Seat};

/// Commits the items and acknowledges each. Gives the session back, unless it stays in a transaction; and the writer's seat
/// before anybody is told: one who has to run by himself needs it.
pub(super) fn commit(
    core: &Core,
    shape: &InsertShape,
    mut session: Box<dyn EngineSession>,
    items: Vec<Item>,
    seat: Option<Seat>,
    batch: &Batch,
) -> Option<Box<dyn EngineSession>> {
    let mut outcomes = Vec::with_capacity(items.len());
    halve(core, shape, session.as_mut(), batch, &items, &mut outcomes);
    batch.has_ended();
    // What comes later would be told to be done in it, and gone with it.
    let is_clean = !session.state().in_transaction || session.roll_back().is_ok();
    drop(seat);
    for (item, outcome) in items.into_iter().zip(outcomes) {
        // Whoever asked may be gone.
        let _ = item.done.send(outcome);
    }
    is_clean.then_some(session)
}

/// Runs the items in their order, and pushes an outcome for each.
fn halve(
    core: &Core,
    shape: &InsertShape,
    session: &mut dyn EngineSession,
    batch: &Batch,
    items: &[Item],
    outcomes: &mut Vec<Result<Outcome, ServiceError>>,
) {
    if batch.is_unwanted() {
        outcomes.extend(items.iter().map(|_| Ok(Outcome::GivenUp)));
        return;
    }
    if let [item] = items {
        outcomes.push(alone(core, shape, session, batch, item));
        return;
    }
    let rows: Vec<_> = items.iter().map(|item| (item.sql.as_ref(), item.parameters.as_ref())).collect();
    match session.insert_many(shape, &rows) {
        Ok(counts) => outcomes.extend(committed(core, items, counts)),
        // Nothing better can be said of a file that is lost, or of an engine that has failed.
        Err(error @ (EngineError::FileLost { .. } | EngineError::Fatal { .. })) => {
            let error = core.engine_error(error);
            outcomes.extend(items.iter().map(|_| Err(error.clone())));
        }
        Err(EngineError::Interrupted) if batch.is_unwanted() => {
            outcomes.extend(items.iter().map(|_| Ok(Outcome::GivenUp)));
        }
        // All of them wait for a foreign process; of operations whose rows are parameters none is at fault by itself.
        Err(error) if waits(shape, &error) => outcomes.extend(items.iter().map(|_| Ok(Outcome::Conflict))),
        Err(_) => {
            let (front, back) = items.split_at(items.len() / 2);
            halve(core, shape, session, batch, front, outcomes);
            halve(core, shape, session, batch, back, outcomes);
        }
    }
}

/// What is told of a batch that is committed. Whatever is wrong then, nothing of it is done once more.
fn committed(core: &Core, items: &[Item], counts: Vec<i64>) -> Vec<Result<Outcome, ServiceError>> {
    let error = match core.file.verify(false) {
        Ok(()) if counts.len() == items.len() => {
            return counts.into_iter().map(|count| Ok(Outcome::Done(count))).collect();
        }
        Ok(()) => errors::internal("the engine does not say what each of the statements has changed"),
        Err(error) => core.engine_error(error),
    };
    items.iter().map(|_| Err(error.clone())).collect()
}

/// Whether what kept a batch would keep each part of it.
fn waits(shape: &InsertShape, error: &EngineError) -> bool {
    match error {
        EngineError::Locked { .. } => true,
        EngineError::Conflict { .. } => shape.width == 0,
        _ => false,
    }
}

/// Runs one item: by the lane's prepared statement, and when that fails as it was written, for its own words.
fn alone(
    core: &Core,
    shape: &InsertShape,
    session: &mut dyn EngineSession,
    batch: &Batch,
    item: &Item,
) -> Result<Outcome, ServiceError> {
    let outcome = session.insert_many(shape, &[(item.sql.as_ref(), item.parameters.as_ref())]);
    let outcome = outcome.map(|counts| counts.into_iter().sum());
    let outcome = match outcome {
        Err(EngineError::FileLost { .. } | EngineError::Fatal { .. } | EngineError::Interrupted) | Ok(_) => outcome,
        Err(ref error) if waits(shape, error) => outcome,
        Err(_) => run(session, item),
    };
    let outcome = outcome.and_then(|count| core.file.verify(false).map(|()| count));
    match outcome {
        Ok(count) => Ok(Outcome::Done(count)),
        Err(EngineError::Interrupted) if batch.is_unwanted() => Ok(Outcome::GivenUp),
        // Waiting for another, or for a foreign process, would keep the lane.
        Err(EngineError::Conflict { .. } | EngineError::Locked { .. }) => Ok(Outcome::Conflict),
        Err(error) => Err(core.engine_error(error)),
    }
}

/// Answers with how many rows it has changed.
fn run(session: &mut dyn EngineSession, item: &Item) -> Result<i64, EngineError> {
    let prepared = session.prepare(&item.sql)?;
    let counts = prepared.shape == ResultShape::RowsChanged;
    let outcome = (|| {
        let mut rows = session.execute(prepared.id, item.parameters.as_ref(), false)?;
        let mut count = 0;
        while let Some(batch) = rows.next()? {
            count += if counts { first_number(&batch) } else { 0 };
        }
        Ok(count)
    })();
    session.forget(prepared.id);
    outcome
}

/// The number that a batch of counts has.
fn first_number(batch: &RecordBatch) -> i64 {
    let numbers = batch.columns().first().and_then(|column| column.as_primitive_opt::<Int64Type>());
    numbers.filter(|numbers| !numbers.is_empty() && !numbers.is_null(0)).map_or(0, |numbers| numbers.value(0))
}
