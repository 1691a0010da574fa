//! What files and variables say together: the pit and its pools, understood and checked.

use std::path::Path;

use serde::Deserialize;

use crate::config::{PoolConfig, PoolOptions};
use crate::config_file::fields::{self, Field};
use crate::config_file::kinds::{Kind, Kinds};
use crate::config_file::node::{Content, Node, Table, settle};
use crate::config_file::pit::PitOptions;
use crate::config_file::problem::Problem;
use crate::config_file::reader::check_keys;
use crate::error::{ConfigError, ConfigPlace};
use crate::id::PoolName;

pub(super) const ADAPTER: &str = "adapter";
pub(super) const POOLS: &str = "pools";

/// What is said.
pub(super) struct Said {
    pub(super) pit: PitOptions,
    pub(super) pools: Vec<PoolConfig>,
}

/// What it takes to understand it.
pub(super) struct Understanding<'a> {
    pub(super) kinds: &'a Kinds,
    /// Where relative paths count from.
    pub(super) folder: &'a Path,
}

impl Understanding<'_> {
    pub(super) fn of(&self, root: Node) -> Result<Said, ConfigError> {
        let place = root.place.clone();
        let told = |problem: Problem| problem.into_error(None, &place);
        let mut table = root.into_table().map_err(told)?;
        let known = names(&fields::of::<PitOptions>().unwrap_or_default());
        check_keys(&mut table, known.into_iter().chain([POOLS])).map_err(told)?;
        let pools = table.remove(POOLS);
        let pit = Node::new(Content::Table(table), place.clone());
        let pit = PitOptions::deserialize(pit).map_err(told)?.counting_from(self.folder);
        let pools = pools.ok_or(ConfigError::NoPool)?.into_table();
        let pools = pools.map_err(|problem| told(problem.under(POOLS)))?;
        let pools = pools.into_iter().map(|(name, node)| {
            let place = node.place.clone();
            let table = node.into_table().map_err(|problem| told(problem.under(&name).under(POOLS)))?;
            self.pool(&name, table, &place)
        });
        let pools: Vec<_> = pools.collect::<Result<_, _>>()?;
        if pools.is_empty() { Err(ConfigError::NoPool) } else { Ok(Said { pit, pools }) }
    }

    fn pool(&self, name: &str, table: Table, place: &ConfigPlace) -> Result<PoolConfig, ConfigError> {
        let name = PoolName::new(name)?;
        let told = |problem: Problem| problem.into_error(Some(&name), place);
        let PoolTable { kind, options: common, own } =
            PoolTable::divide(table, place, self.kinds).map_err(told)?;
        let options = PoolOptions::deserialize(common.clone()).map_err(told)?;
        options.check().map_err(|(option, rule)| ConfigError::Option {
            pool: name.clone(),
            option,
            rule,
            place: common.place_of(option).cloned(),
        })?;
        let adapter = kind.make(own, self.folder).map_err(told)?;
        Ok(PoolConfig::of(name.as_str(), adapter, options))
    }
}

/// A pool's table, divided.
struct PoolTable<'a> {
    kind: &'a Kind,
    /// The options that every pool has.
    options: Node,
    /// The adapter's own.
    own: Node,
}

impl<'a> PoolTable<'a> {
    fn divide(mut table: Table, place: &ConfigPlace, kinds: &'a Kinds) -> Result<Self, Problem> {
        settle(&mut table, [ADAPTER])?;
        let name = table.remove(ADAPTER).ok_or_else(|| Problem::missing(ADAPTER))?;
        let (said_at, name) = (name.place.clone(), String::deserialize(name));
        let kind = name.and_then(|name| kinds.find(&name));
        let kind = kind.map_err(|problem| problem.under(ADAPTER).standing_at(&said_at))?;
        let common = names(&fields::of::<PoolOptions>().unwrap_or_default());
        match &kind.fields {
            Some(own) => {
                let own = names(own);
                if let Some(both) = own.iter().find(|own| common.contains(own) || **own == ADAPTER) {
                    let message = format!("its option {both} would hide the pool's own");
                    return Err(Problem::value(message).under(ADAPTER).standing_at(&said_at));
                }
                check_keys(&mut table, common.iter().copied().chain(own).chain([ADAPTER]))?;
            }
            None => settle(&mut table, common.iter().copied())?,
        }
        let (options, own): (Table, Table) =
            table.into_iter().partition(|(key, _)| common.contains(&key.as_str()));
        let node = |table| Node::new(Content::Table(table), place.clone());
        Ok(Self { kind, options: node(options), own: node(own) })
    }
}

fn names(fields: &[Field]) -> Vec<&'static str> {
    fields.iter().map(|field| field.name).collect()
}
