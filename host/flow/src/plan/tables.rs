//! The tables of a flow, as the filter `lookup` reads them.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use minijinja::Value as View;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::template::to_view;

type Rows = BTreeMap<String, Value>;

/// What keys stand for, table by table. Cheap to clone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tables {
    tables: Arc<BTreeMap<String, Rows>>,
    /// The engine's view of them, made when first needed.
    #[serde(skip)]
    view: Arc<OnceLock<View>>,
}

impl Tables {
    /// Tables by their names.
    pub(crate) fn new(tables: BTreeMap<String, Rows>) -> Self {
        Self { tables: Arc::new(tables), view: Arc::default() }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tables.keys().map(String::as_str)
    }

    /// The table of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Rows> {
        self.tables.get(name)
    }

    /// As the engine sees them.
    pub(crate) fn view(&self) -> View {
        let rows = |rows: &Rows| View::from_pairs(rows.iter().map(|(key, value)| (key.as_str(), to_view(value))));
        let make = || View::from_pairs(self.tables.iter().map(|(name, table)| (name.as_str(), rows(table))));
        self.view.get_or_init(make).clone()
    }
}
