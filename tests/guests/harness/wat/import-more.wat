;; component
;; Imports a function that an interface of the contract does not have.
(component
  (import "sluicegate:connector/context@0.1.0" (instance (export "secrets" (func (result string)))))
  (core module $m (memory (export "memory") 1) (;manifest;))
  (core instance $i (instantiate $m))
  (func $describe (result string)
    (canon lift (core func $i "sluicegate:connector/manifest@0.1.0#describe") (memory (core memory $i "memory"))))
  (instance $manifest (export "describe" (func $describe)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
)
