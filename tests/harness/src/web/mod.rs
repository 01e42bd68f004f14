//! The stage for web servers: names and certificates, a browser, a customer who types HTTP by hand, and judges of pages.

pub mod browser;
pub mod html;
pub mod internet;
pub mod judge;
pub mod visitor;
pub mod webdriver;
