"""What a `kustomization.yaml` yields, as `kustomize build` has it. Called by `builds`."""
