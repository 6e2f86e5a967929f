//! What is made from what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Manifest, Resource};

/// Which way to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// At what it is made from.
    Up,
    /// At what is made from it.
    Down,
}

/// A relative.
#[derive(Debug, Clone, Copy)]
pub struct Related<'a> {
    /// It.
    pub resource: &'a Resource,
    /// Steps on the shortest way to it, from 1.
    pub distance: usize,
}

impl Manifest {
    /// What a resource is made from, or what is made from it, as far as so many steps: the nearest first.
    pub fn related(&self, resource: &Resource, direction: Direction, most: Option<usize>) -> Vec<Related<'_>> {
        let mut seen = BTreeSet::from([resource.unique_id.as_str()]);
        let mut next = VecDeque::from([(resource.unique_id.as_str(), 0)]);
        let mut found = Vec::new();
        while let Some((id, distance)) = next.pop_front() {
            if most.is_some_and(|most| distance >= most) {
                break;
            }
            for near in self.beside(id, direction) {
                if let Some(resource) = self.resources.get(near)
                    && seen.insert(near)
                {
                    found.push(Related { resource, distance: distance + 1 });
                    next.push_back((near, distance + 1));
                }
            }
        }
        found
    }

    /// Its neighbours: in the manifest's order.
    pub fn beside<'a>(&'a self, id: &str, direction: Direction) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map(direction).get(id).into_iter().flatten().map(String::as_str)
    }

    fn map(&self, direction: Direction) -> &BTreeMap<String, Vec<String>> {
        match direction {
            Direction::Up => &self.parents,
            Direction::Down => &self.children,
        }
    }
}
