;; component
;; Has one memory more than a call may have, in modules of their own.
(component
  (core module $m (memory (export "memory") 1) (;manifest;))
  (core instance $i (instantiate $m))
  (func $describe (result string)
    (canon lift (core func $i "sluicegate:connector/manifest@0.1.0#describe") (memory (core memory $i "memory"))))
  (instance $manifest (export "describe" (func $describe)))
  (export "sluicegate:connector/manifest@0.1.0" (instance $manifest))
  (core module $n (memory 1))
  (core instance (instantiate $n))
  (core instance (instantiate $n))
  (core instance (instantiate $n))
  (core instance (instantiate $n))
)
