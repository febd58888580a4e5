//! `cargo import` as a program of its own, with the simulators as another one, in real time: from a folder with nothing but
//! a `.env`, and against an app that is served elsewhere.

mod deployed;
mod importing;
mod interrupted;
mod launching;
mod programs;
mod steering;
