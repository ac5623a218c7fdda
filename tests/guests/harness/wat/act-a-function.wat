;; component
;; Exports a function under the name of the interface of actions.
(component
  (core module $m (memory (export "memory") 1) (;manifest;))
  (core instance $i (instantiate $m))
  (func $describe (result string)
    (canon lift (core func $i "sluicegate:connector/manifest@0.1.0#describe") (memory (core memory $i "memory"))))
  (instance $manifest (export "describe" (func $describe)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
  (core module $z (func (export "zero") (result i32) (i32.const 0)))
  (core instance $j (instantiate $z))
  (func $zero (result u32) (canon lift (core func $j "zero")))
  (export "sluicegate:connector/actions@0.1.0" (func $zero))
)
