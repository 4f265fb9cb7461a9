"""``assay dataset identity``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.console import console
from shared.errors import UsageError


def identity(
    certificate: Annotated[
        Path | None, typer.Option(help="PEM chain to sign with from now on, leaf first.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM private key of the leaf, not encrypted.", show_default=False)
    ] = None,
    trust: Annotated[
        str | None, typer.Option(help="Trust sets sealed by this fingerprint.", show_default=False)
    ] = None,
    distrust: Annotated[
        str | None, typer.Option(help="No longer trust sets sealed by this fingerprint.", show_default=False)
    ] = None,
    local: Annotated[bool, typer.Option("--local", help="Sign with the identity that Assay made.")] = False,
) -> None:
    """Shows your signing identity and the signers you trust; --certificate and --key set your own chain.

    Example: assay dataset identity

    Example: assay dataset identity --trust FINGERPRINT

    Example: assay dataset identity --certificate lab-chain.pem --key lab-key.pem

    By default, a key and a certificate are made on first use, in the user's config folder. A certificate must follow
    C2PA's profile: not self-signed, digitalSignature, emailProtection or another use that C2PA allows.

    Before you trust a fingerprint, get it from its owner by a channel that the sender of the set cannot change.
    """
    from shared.provenance.identity import SigningIdentity, choose_identity, forget_choice, identity_folder
    from shared.provenance.trust import distrust_signer, known_signers, trust_signer

    if (certificate is None) != (key is None) or (local and certificate is not None):
        raise UsageError(
            "--certificate and --key go together", hint="give both, only --local, or none to show who signs"
        )
    former = known_signers()
    if certificate is not None and key is not None:
        who = choose_identity(certificate, key)
    else:
        who = forget_choice() if local else SigningIdentity.load_or_create()
    for fingerprint in former.keys() - known_signers().keys():  # what you sealed with it stays yours
        trust_signer(fingerprint, name=former[fingerprint].name, root=former[fingerprint].root)
    if trust is not None:
        trust_signer(trust)
    if distrust is not None:
        distrust_signer(distrust)
    others = [signer for signer in known_signers().values() if signer.since]
    console.print(f"{who.name} signs ({who.algorithm}), until {who.expires:%Y-%m-%d}")
    console.print(f"fingerprint {who.fingerprint}")
    console.print(f"kept in {identity_folder()}")
    if others:
        rows = [(signer.name or "-", signer.fingerprint, signer.since) for signer in others]
        console.table("Trusted signers", ["name", "fingerprint", "since"], rows)
    console.result(
        {
            "name": who.name,
            "algorithm": who.algorithm,
            "fingerprint": who.fingerprint,
            "expires": who.expires.isoformat(),
            "folder": identity_folder(),
            "trusted": [{"name": signer.name, "fingerprint": signer.fingerprint} for signer in others],
        }
    )
