mod ends;
mod messages;
mod random;
mod using;
mod world;
