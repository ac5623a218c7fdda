;; component
;; Hands a UTF-16 text to a component inside itself that takes Latin-1 while it can, and
;; gives it room behind the memory.
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65534))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "text" string)
      (canon lift (core func $i "take") string-encoding=latin1+utf16 (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $callee (instantiate $callee))
  (core module $memory (memory (export "memory") 1) (data (i32.const 1024) "a\00b\00c\00\ac\20"))
  (core instance $memory (instantiate $memory))
  (alias export $callee "take" (func $take))
  (core func $take (canon lower (func $take) string-encoding=utf16 (memory (core memory $memory "memory"))))
  (core module $m
    (import "env" "memory" (memory 1))
    (import "env" "take" (func $take (param i32 i32)))
    (func (export "describe") (result i32)
      (call $take (i32.const 1024) (i32.const 4))
      (call $told))
    (func $told (result i32) (i32.const 0)))
  (core instance $env (export "memory" (memory $memory "memory")) (export "take" (func $take)))
  (core instance $i (instantiate $m (with "env" (instance $env))))
  (func $describe (result string) (canon lift (core func $i "describe") (memory (core memory $memory "memory"))))
  (instance $manifest (export "describe" (func $describe)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
)
