;; What a generated library is linked to: a connector that describes itself, and hands
;; every call on to the library's `go`. Both work in the one memory, so that the library
;; may change whatever is here. The test puts two things in: what describes the connector,
;; and the arguments of `go`.
(module
  (import "env" "memory" (memory 1))
  (import "env" "go" (func $go (param i32 i64 f32 f64) (result i32)))
  (import "sluicegate:connector/log@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32)))
  (import "sluicegate:connector/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (import "sluicegate:connector/files@0.1.0" "read" (func $read (param i32 i32 i64 i32 i32)))
  (import "sluicegate:connector/fetch@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (global $next (mut i32) (i32.const 1024))
  (;manifest;)
  ;; What it answers: the output `null`.
  (data (i32.const 64) "\00\00\00\00\00\00\00\00\60\00\00\00\04\00\00\00") (data (i32.const 96) "null")
  (data (i32.const 100) "GET") (data (i32.const 103) "begun")
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  ;; It says that it has begun, calls, and answers as if all were well.
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (call $write (i32.const 1) (i32.const 103) (i32.const 5) (i32.const 0) (i32.const 0))
    (drop (call $go (;arguments;)))
    (i32.const 64))

  ;; The host's functions with fewer arguments, each brought into the first 64 KiB, so
  ;; that most calls reach the host: a number is the place and the length of a text, or
  ;; the place of what the host answers.
  (func $text (param i32) (result i32) (i32.and (local.get 0) (i32.const 0xffff)))
  (func $bytes (param i32) (result i32) (i32.and (i32.shr_u (local.get 0) (i32.const 16)) (i32.const 63)))
  (func $place (param i32) (result i32) (i32.and (local.get 0) (i32.const 0xfff8)))
  (func (export "say") (param i32 i32)
    (call $write (i32.and (local.get 1) (i32.const 3)) (call $text (local.get 0)) (call $bytes (local.get 0))
      (i32.const 0) (i32.const 0)))
  (func (export "ask") (param i32 i32) (result i32)
    (call $get (call $text (local.get 0)) (call $bytes (local.get 0)) (call $place (local.get 1)))
    (i32.load (call $place (local.get 1))))
  (func (export "read") (param i32 i64) (result i32) (local $place i32)
    (local.set $place (call $place (i32.wrap_i64 (local.get 1))))
    (call $read (call $text (local.get 0)) (call $bytes (local.get 0)) (local.get 1) (i32.const 4096)
      (local.get $place))
    (i32.load (local.get $place)))
  (func (export "send") (param i32 i32) (result i32)
    (call $send (i32.const 100) (i32.const 3) (call $text (local.get 0)) (call $bytes (local.get 0))
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
      (call $place (local.get 1)))
    (i32.load (call $place (local.get 1))))
)
