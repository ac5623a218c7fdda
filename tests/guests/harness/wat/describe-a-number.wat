;; component
;; Describes itself by a number.
(component
  (core module $z (func (export "zero") (result i32) (i32.const 0)))
  (core instance $j (instantiate $z))
  (func $zero (result u32) (canon lift (core func $j "zero")))
  (instance $manifest (export "describe" (func $zero)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
)
