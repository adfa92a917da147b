//! One file a tool.

mod persons_list;
