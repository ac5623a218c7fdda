;; connector
;; Spends its time in single instructions that each move a whole memory.
(module
  (memory (export "memory") 512)
  (global $next (mut i32) (i32.const 1024))
  (func $allocate (param i32 i32 i32 i32) (result i32) (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (;manifest;)
  (export "cabi_realloc" (func $allocate))
  ;; What it answers: the output `null`.
  (data (i32.const 64) "\00\00\00\00\00\00\00\00\60\00\00\00\04\00\00\00") (data (i32.const 96) "null")
  (table $t 60000 funcref)
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (loop $on
      (memory.fill (i32.const 131072) (i32.const 7) (i32.const 33423360))
      (memory.copy (i32.const 131072) (i32.const 131073) (i32.const 33423359))
      (table.fill $t (i32.const 0) (ref.null func) (i32.const 60000))
      (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 59999))
      (br $on))
    unreachable)
)
