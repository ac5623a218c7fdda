;; connector
;; Fills its memory and table, where the next call of another instance must find nothing.
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
  (elem declare func $allocate)
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (drop (memory.grow (i32.const 31)))
    (local.set $at (i32.const 65536))
    (loop $look
      (if (i64.ne (i64.load (local.get $at)) (i64.const 0)) (then unreachable))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (br_if $look (i32.lt_u (local.get $at) (i32.const 2097152))))
    (drop (table.grow $t (ref.null func) (i32.const 1000)))
    (local.set $at (i32.const 0))
    (loop $see
      (if (i32.eqz (ref.is_null (table.get $t (local.get $at)))) (then unreachable))
      (table.set $t (local.get $at) (ref.func $allocate))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $see (i32.lt_u (local.get $at) (i32.const 1001))))
    (memory.fill (i32.const 65536) (i32.const 85) (i32.const 2031616))
    (i32.const 64))
)
