;; component
;; Hands a text to a component inside itself that takes UTF-16, and gives it room that ends
;; behind the memory.
(component
  (component $callee
    (core module $m
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65532))
      (func (export "take") (param i32 i32)))
    (core instance $i (instantiate $m))
    (func (export "take") (param "text" string)
      (canon lift (core func $i "take") string-encoding=utf16 (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
  (instance $callee (instantiate $callee))
  (core module $memory (memory (export "memory") 1) (data (i32.const 1024) "Grüße, Welt"))
  (core instance $memory (instantiate $memory))
  (alias export $callee "take" (func $take))
  (core func $take (canon lower (func $take) string-encoding=utf8 (memory (core memory $memory "memory"))))
  (core module $m
    (import "env" "memory" (memory 1))
    (import "env" "take" (func $take (param i32 i32)))
    (func (export "describe") (result i32)
      (call $take (i32.const 1024) (i32.const 13))
      (call $told))
    (func $told (result i32) (i32.const 0)))
  (core instance $env (export "memory" (memory $memory "memory")) (export "take" (func $take)))
  (core instance $i (instantiate $m (with "env" (instance $env))))
  (func $describe (result string) (canon lift (core func $i "describe") (memory (core memory $memory "memory"))))
  (instance $manifest (export "describe" (func $describe)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
)
