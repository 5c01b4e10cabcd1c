//! For tests alone: images and advisories built in code, so that a test shows what it rests on.
//!
//! ```
//! use portcullis_testkit::{ImageBuilder, Layer};
//!
//! let image = ImageBuilder::debian(12)
//!     .package("openssl", "3.0.11-1")
//!     .layer(Layer::new().file("app/package.json", r#"{"name": "app", "version": "1.0.0"}"#))
//!     .build();
//! assert_eq!(image.layers.len(), 2);
//! ```
//! Everything here panics where a test would have to stop anyway.

mod advisory;
mod database;
mod debian;
mod http;
mod image;
mod layer;
mod rpm;
pub mod tar;
mod write;

pub use advisory::AdvisoryRecord;
pub use database::seal_database;
pub use debian::{DebianPackage, dpkg_status, os_release};
pub use http::{Fault, HttpServer, Request};
pub use image::{BuiltImage, BuiltLayer, ImageBuilder};
pub use layer::{Compression, Layer};
pub use rpm::{RpmPackage, rpm_database, rpm_database_of};
