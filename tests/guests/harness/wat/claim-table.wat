;; connector
;; Asks for tables larger than any address space; every answer must be no.
(module
  (memory (export "memory") 1)
  (global $next (mut i32) (i32.const 1024))
  (func $allocate (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (;manifest;)
  (export "cabi_realloc" (func $allocate))
  ;; What it answers: the output `null`.
  (data (i32.const 64) "\00\00\00\00\00\00\00\00\60\00\00\00\04\00\00\00") (data (i32.const 96) "null")
  (table $t 1 funcref)
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (if (i32.ne (table.grow $t (ref.null func) (i32.const -2)) (i32.const -1)) (then unreachable))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 0x7fffffff)) (i32.const -1)) (then unreachable))
    (if (i32.ne (table.grow $t (ref.null func) (i32.const 65536)) (i32.const -1)) (then unreachable))
    (if (i32.ne (table.size $t) (i32.const 1)) (then unreachable))
    (i32.const 64))
)
