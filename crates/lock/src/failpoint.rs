//! Places at which a test may kill or stop the process. Nothing without the feature `failpoints`.

/// Called after each step that the outside can see.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub(crate) fn reached(_step: &str) {}

#[cfg(feature = "failpoints")]
pub(crate) use with_hook::reached;
#[cfg(feature = "failpoints")]
pub use with_hook::set_hook;

#[cfg(feature = "failpoints")]
mod with_hook {
    use std::sync::OnceLock;

    type Hook = Box<dyn Fn(&str) + Send + Sync>;

    static HOOK: OnceLock<Hook> = OnceLock::new();

    /// Calls this after each step that the outside can see; the first call counts.
    pub fn set_hook(hook: impl Fn(&str) + Send + Sync + 'static) {
        // A second hook is ignored, as documented.
        let _ = HOOK.set(Box::new(hook));
    }

    pub(crate) fn reached(step: &str) {
        if let Some(hook) = HOOK.get() {
            hook(step);
        }
    }
}
