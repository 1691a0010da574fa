//! How events are declared: one entry makes the variant, its name on every way out, its log line, and its row in the
//! document.

/// What is known of an event before it happens; its document and its tests are made of these.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct EventSpec {
    /// Its stable name.
    pub(crate) name: &'static str,
    /// At which level it is logged.
    pub(crate) level: tracing::Level,
    /// What it means, a line for each line of its declaration.
    pub(crate) meaning: &'static [&'static str],
    /// What it carries, each with its meaning.
    pub(crate) fields: &'static [(&'static str, &'static [&'static str])],
}

/// Declares the enum of all events.
macro_rules! declare_events {
    (
        $(#[$outer:meta])*
        pub enum $enum:ident {
            $(
                $(#[doc = $meaning:literal])+
                $variant:ident($name:literal, $level:ident) {
                    $(
                        $(#[doc = $says:literal])+
                        $(#[serde($($serde:tt)+)])?
                        $field:ident: $type:ty,
                    )*
                }
            )+
        }
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, serde::Serialize)]
        #[serde(tag = "event")]
        #[non_exhaustive]
        pub enum $enum {
            $(
                $(#[doc = $meaning])+
                #[serde(rename = $name)]
                #[non_exhaustive]
                $variant {
                    $(
                        $(#[doc = $says])+
                        $(#[serde($($serde)+)])?
                        $field: $type,
                    )*
                },
            )+
        }

        impl $enum {
            /// Every event that there is, in the order of their declaration.
            #[cfg(test)]
            pub(crate) const ALL: &[$crate::telemetry::declare::EventSpec] = &[
                $($crate::telemetry::declare::EventSpec {
                    name: $name,
                    level: tracing::Level::$level,
                    meaning: &[$($meaning),+],
                    fields: &[$((stringify!($field), &[$($says),+])),*],
                }),+
            ];

            /// Its stable name, such as `snakepit.worker.ready`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }

            /// At which level it is logged. `ERROR`: a person must act. A normal start and stop is nothing above `INFO`.
            pub fn level(&self) -> tracing::Level {
                match self {
                    $(Self::$variant { .. } => tracing::Level::$level,)+
                }
            }

            /// The pool that it is about, if it is about one.
            pub fn pool(&self) -> Option<&crate::id::PoolName> {
                use $crate::telemetry::field::Field;
                match self {
                    $(Self::$variant { $($field),* } => None$(.or($field.pool()))*,)+
                }
            }

            /// Writes it to the log.
            pub(crate) fn log(&self) {
                use $crate::telemetry::field::Field;
                match self {
                    $(Self::$variant { $($field),* } => tracing::event!(
                        target: "snakepit::events",
                        tracing::Level::$level,
                        $($field = $field.value(),)*
                        $name
                    ),)+
                }
            }
        }
    };
}

pub(crate) use declare_events;
