;; connector
;; Answers what is none: the letter that it is given says how. l: far behind the memory,
;; m: half behind it, n: not where such answers may begin.
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
  ;; a: the text begins behind the memory
  (data (i32.const 2048) "\00\00\00\00\00\00\00\00\00\00\01\00\04\00\00\00")
  ;; b: the text has 4 GiB
  (data (i32.const 2080) "\00\00\00\00\00\00\00\00\60\00\00\00\ff\ff\ff\ff")
  ;; c: the text ends a byte behind the memory
  (data (i32.const 2112) "\00\00\00\00\00\00\00\00\fd\ff\00\00\04\00\00\00")
  ;; d: its end wraps around
  (data (i32.const 2144) "\00\00\00\00\00\00\00\00\fc\ff\ff\ff\08\00\00\00")
  ;; e: neither an output nor an error
  (data (i32.const 2176) "\07\00\00\00\00\00\00\00\60\00\00\00\04\00\00\00")
  ;; f: an error that does not exist
  (data (i32.const 2208) "\01\00\00\00\00\00\00\00\63\00\00\00\00\00\00\00\60\00\00\00\04\00\00\00")
  ;; g: a list of problems whose bytes do not fit into 32 bits
  (data (i32.const 2240) "\01\00\00\00\00\00\00\00\05\00\00\00\00\00\00\00\60\00\00\00\ff\ff\ff\0f")
  ;; h: a list of scopes, each a wild pointer
  (data (i32.const 2272) "\01\00\00\00\00\00\00\00\02\00\00\00\00\00\00\00\60\09\00\00\02\00\00\00")
  ;; i: a wait that is neither there nor absent
  (data (i32.const 2304) "\01\00\00\00\00\00\00\00\03\00\00\00\00\00\00\00\09\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  ;; j: half a letter
  (data (i32.const 2336) "\00\00\00\00\00\00\00\00\74\09\00\00\01\00\00\00")
  ;; k: a lone surrogate
  (data (i32.const 2368) "\00\00\00\00\00\00\00\00\78\09\00\00\03\00\00\00")
  (data (i32.const 2400) "\f0\ff\ff\ff\10\00\00\00\f0\ff\ff\ff\10\00\00\00")
  (data (i32.const 2420) "\c3") (data (i32.const 2424) "\ed\a0\80")
  (func (export "sluicegate:connector/actions@0.1.0#invoke") (param i32 i32 i32 i32) (result i32)
    (local $way i32)
    (local.set $way (i32.load8_u offset=1 (local.get 2)))
    (if (i32.eq (local.get $way) (i32.const 97)) (then (return (i32.const 2048))))
    (if (i32.eq (local.get $way) (i32.const 98)) (then (return (i32.const 2080))))
    (if (i32.eq (local.get $way) (i32.const 99)) (then (return (i32.const 2112))))
    (if (i32.eq (local.get $way) (i32.const 100)) (then (return (i32.const 2144))))
    (if (i32.eq (local.get $way) (i32.const 101)) (then (return (i32.const 2176))))
    (if (i32.eq (local.get $way) (i32.const 102)) (then (return (i32.const 2208))))
    (if (i32.eq (local.get $way) (i32.const 103)) (then (return (i32.const 2240))))
    (if (i32.eq (local.get $way) (i32.const 104)) (then (return (i32.const 2272))))
    (if (i32.eq (local.get $way) (i32.const 105)) (then (return (i32.const 2304))))
    (if (i32.eq (local.get $way) (i32.const 106)) (then (return (i32.const 2336))))
    (if (i32.eq (local.get $way) (i32.const 107)) (then (return (i32.const 2368))))
    (if (i32.eq (local.get $way) (i32.const 108)) (then (return (i32.const -8))))
    (if (i32.eq (local.get $way) (i32.const 109)) (then (return (i32.const 65528))))
    (if (i32.eq (local.get $way) (i32.const 110)) (then (return (i32.const 65))))
    (i32.const 64))
)
