;; connector
;; Calls the host with what is no argument: the letter that it is given says how.
(module
  (import "sluicegate:connector/fetch@0.1.0" "send"
    (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "sluicegate:connector/log@0.1.0" "write" (func $write (param i32 i32 i32 i32 i32)))
  (import "sluicegate:connector/files@0.1.0" "read" (func $read (param i32 i32 i64 i32 i32)))
  (import "sluicegate:connector/state@0.1.0" "compare-and-set" (func $swap (param i32 i32 i32 i64 i32 i32 i32)))
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
  (data (i32.const 200) "GET") (data (i32.const 208) "http://127.0.0.1/") (data (i32.const 240) "\c3\28")
  ;; a: a URL behind the memory
  ;; b: a URL of 4 GiB
  ;; c: a method whose end wraps around
  ;; d: 4 billion headers
  ;; e: headers not where such lists may begin
  ;; f: a body of no kind
  ;; g: a timeout that is neither there nor absent
  ;; h: a place for the answer behind the memory
  ;; i: a place for the answer where none may be
  ;; j: a URL that is no text
  ;; k: a level that does not exist
  ;; l: fields whose bytes do not fit into 32 bits
  ;; m: a path behind the memory
  ;; n: a version that is neither there nor absent
  ;; o: a body of 4 GiB
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (local $way i32)
    (local.set $way (i32.load8_u offset=1 (local.get 2)))
    (if (i32.eq (local.get $way) (i32.const 97)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 65536) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 98)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 99)) (then (call $send (i32.const -4) (i32.const 8) (i32.const 208) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 100)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const 17) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 101)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const 17) (i32.const 1) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 102)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 99) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 103)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 104)) (then (call $read (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 1) (i32.const -16))))
    (if (i32.eq (local.get $way) (i32.const 105)) (then (call $read (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 1) (i32.const 513))))
    (if (i32.eq (local.get $way) (i32.const 106)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 240) (i32.const 2) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 107)) (then (call $write (i32.const 9) (i32.const 200) (i32.const 3) (i32.const 0) (i32.const 0))))
    (if (i32.eq (local.get $way) (i32.const 108)) (then (call $write (i32.const 1) (i32.const 200) (i32.const 3) (i32.const 0) (i32.const 0x10000001))))
    (if (i32.eq (local.get $way) (i32.const 109)) (then (call $read (i32.const -1) (i32.const 1) (i64.const 0) (i32.const 1) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 110)) (then (call $swap (i32.const 200) (i32.const 3) (i32.const 2) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 512))))
    (if (i32.eq (local.get $way) (i32.const 111)) (then (call $send (i32.const 200) (i32.const 3) (i32.const 208) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0) (i32.const 512))))
    (i32.const 64))
)
