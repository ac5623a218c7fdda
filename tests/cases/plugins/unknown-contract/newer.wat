(component
  (instance $manifest)
  (export "sluicegate:connector/manifest@9.0.0" (instance $manifest)))
